# src/format: sources of this room, one libadamix_la_SOURCES line each.
