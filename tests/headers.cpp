// Stands for a source: of its target only the precompiled headers are used.
