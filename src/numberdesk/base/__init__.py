"""What knows nothing of the business: every slice may import it, it imports none of them."""
