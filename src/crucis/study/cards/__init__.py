"""Cards and checklists: documents whose measured parts come from records and whose other parts a person writes."""
