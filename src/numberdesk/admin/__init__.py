"""Routes for staff: accounts, money by hand, and the audit log. No tables and no rules of its own."""
