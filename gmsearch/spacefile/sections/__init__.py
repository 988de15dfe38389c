"""The sections of a space file without domains: one file each, its reader and its JSON Schema."""
