//! The control plane: the nine operations of section 7, and the client of section 8.
