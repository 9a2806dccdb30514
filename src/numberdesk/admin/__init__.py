"""Routes for staff: accounts, money by hand, and the audit log. No tables of its own."""
