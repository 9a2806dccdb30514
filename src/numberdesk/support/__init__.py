"""Support tickets: what customers ask about an order, a recharge or anything else, and what staff answer.

Owns `tickets`, `ticket_messages` and `ticket_attachments`. Subjects, texts and pictures are sealed.
"""
