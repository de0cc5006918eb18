//! Several file systems, or single files, at paths of one tree.
