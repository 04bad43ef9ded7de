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
