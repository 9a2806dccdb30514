"""Pages for people: so far the page that shows the API. Everything it loads is ours; nothing foreign."""
