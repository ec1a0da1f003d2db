//! Cold contents: those that no image in use needs lie compressed in packs until somebody runs such an image.

/// What the promisor mark of a pack of contents says.
pub(crate) const MARK: &[u8] = b"rd cold contents\n\n";
