"""The outbox, its receipts and its attachments. Imports nothing else of Holdfast."""
