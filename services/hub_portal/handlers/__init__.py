"""Request handlers: who is asking, which calls a page needs, which template shows them. They hold no rules."""
