//! Which pages memory comes in. The allocator asks for pages of 2 MB, which a hub of ten thousand
//! streams wants; a console holds some megabytes of small pieces, and would take far more than is
//! in use, more or less as the kernel finds such pages.

/// Small pages from here on. Said before anything else is done, as what came in large ones stays.
pub(crate) fn spare() {
    small(true);
}

/// Large pages again, for what holds much; programs started from here on have them too.
pub(crate) fn plenty() {
    small(false);
}

fn small(are: bool) {
    // A kernel without huge pages has none to be spared.
    let _refused = rustix::thread::disable_transparent_huge_pages(are);
}
