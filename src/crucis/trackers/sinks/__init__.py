"""One tracker per file: `open_sink(place)`, and literals beside it that are read without importing anything.

`NEEDS`: packages that must be installed. `LIVE`: whether rows can be seen while a step trains. `AFTERWARDS`: the
command that shows what was written to a folder. `ADDRESS`: the same for an address, empty if only folders are taken.
"""
