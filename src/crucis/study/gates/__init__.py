"""Gates: checklists over records with a decision. One kind of gate is one file; nothing in a study makes one pass."""
