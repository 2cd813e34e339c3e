//! Giving freed memory back to the operating system.

/// Returns free pages of the heap to the system. glibc keeps what lies between things still in use, which after unloading a model is
/// most of the model; other allocators do without being asked.
pub(crate) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `malloc_trim` takes no pointers and may be called at any time, from any thread (malloc_trim(3), "MT-Safe").
        #[allow(unsafe_code, reason = "the only way to the allocator")]
        let _released = unsafe { libc::malloc_trim(0) };
    }
}
