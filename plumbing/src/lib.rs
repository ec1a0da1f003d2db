//! Objects, trees, content, refs, revisions, layers and mount images of an rd store: bytes and ids only.
