# An empty folder that is gone when the test ends.
new_folder <- function(env = parent.frame()) {
  folder <- tempfile("seqlift-test-")
  dir.create(folder)
  do.call(on.exit, list(bquote(unlink(.(folder), recursive = TRUE)), add = TRUE), envir = env)
  folder
}

# `code` with bigBed files of other sizes of blocks and nodes than usual.
with_sizes <- function(case, code) {
  put <- function(block, node) {
    utils::assignInNamespace("bigbed_records_in_block", block, "seqlift")
    utils::assignInNamespace("bigbed_blocks_in_node", node, "seqlift")
  }
  on.exit(put(512L, 256L))
  put(case$block, case$node)
  code
}

# Makes `folder` R's cache of files; value: a function that makes it what it was.
use_cache <- function(folder) {
  before <- Sys.getenv("R_USER_CACHE_DIR", NA)
  Sys.setenv(R_USER_CACHE_DIR = folder)
  function() {
    if (is.na(before)) {
      Sys.unsetenv("R_USER_CACHE_DIR")
    } else {
      Sys.setenv(R_USER_CACHE_DIR = before)
    }
  }
}
