//! Large buffers, whose memory goes back to the system.

/// From this size in bytes on, glibc maps a block by itself.
const LARGE: usize = 128 * 1024;

/// Frees a buffer, and has its memory go back.
///
/// When a large block is freed, glibc maps from then on only larger ones by themselves (mallopt(3),
/// `M_MMAP_THRESHOLD`), and keeps what others took. So one has become small before it is freed.
pub(crate) fn give_back<T>(mut buffer: Vec<T>) {
    if buffer.capacity() * size_of::<T>() >= LARGE {
        buffer.truncate(1);
        buffer.shrink_to_fit();
    }
}
