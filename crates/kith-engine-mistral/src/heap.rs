//! The process's heap: that freed models leave it.
//!
//! glibc raises two thresholds as it sees large blocks freed, up to 32 MiB and 64 MiB. From then on tensors come out of its arenas, and
//! arenas keep what lies between things still in use: after a few models came and went, hundreds of megabytes. With
//! fixed thresholds tensors are mapped and unmapped one by one, which costs no speed that could be measured. Other
//! allocators do well without being asked.

/// Fixes the thresholds, for the whole process, and once.
pub(crate) fn settle() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Blocks from this size on are mapped by themselves; free ends of arenas from this size on go back. Bytes.
        const THRESHOLD: libc::c_int = 1 << 20;
        static SETTLED: std::sync::Once = std::sync::Once::new();
        SETTLED.call_once(|| {
            // SAFETY: `mallopt` takes no pointers; setting a parameter takes the allocator's locks (mallopt(3), "MT-Safe").
            #[allow(unsafe_code, reason = "the only way to the allocator")]
            unsafe {
                libc::mallopt(libc::M_MMAP_THRESHOLD, THRESHOLD);
                libc::mallopt(libc::M_TRIM_THRESHOLD, THRESHOLD);
            }
        });
    }
}

/// Gives free pages back to the operating system.
pub(crate) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `malloc_trim` takes no pointers and may be called at any time, from any thread (malloc_trim(3), "MT-Safe").
        #[allow(unsafe_code, reason = "the only way to the allocator")]
        let _released = unsafe { libc::malloc_trim(0) };
    }
}
