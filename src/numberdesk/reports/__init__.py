"""What the business earned, what it owes and how well it delivered, by day: counted by a pass, read in no time.

Owns `report_due`, `report_mark`, `report_money`, `report_orders` and `report_taxes`. It reads orders, holds, the ledger
and receipts, and writes none of them. Each count equals counting everything again; sandboxes are never in it.
"""
