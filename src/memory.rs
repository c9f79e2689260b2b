//! Large buffers, whose memory goes back to the system.

/// Frees a buffer, and has its memory go back.
///
/// glibc gives a block back at once only if it is larger than each such block that was freed before
/// (mallopt(3), `M_MMAP_THRESHOLD`): what a million users took once would be kept. What is freed here has
/// become small.
pub(crate) fn give_back<T>(mut buffer: Vec<T>) {
    buffer.truncate(1);
    buffer.shrink_to_fit();
}
