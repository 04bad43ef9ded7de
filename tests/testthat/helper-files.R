# An empty folder that is gone when the test ends.
new_folder <- function(env = parent.frame()) {
  folder <- tempfile("seqlift-test-")
  dir.create(folder)
  do.call(on.exit, list(bquote(unlink(.(folder), recursive = TRUE)), add = TRUE), envir = env)
  folder
}
