"""Routes for staff: everything that people of ours look at and decide. No tables and no rules of its own."""
