# Files are written beside their place and renamed when they are whole: an export that is
# interrupted leaves the old file as it was, or none.

# `writer(temporary)` writes the file; its extension is that of `path`. Returns the path.
write_whole <- function(path, writer, arg = "path", call = caller_env()) {
  path <- check_output_path(path, arg, call)
  # Hidden, and in the same folder: only there is a rename one step.
  temporary <- tempfile(
    paste0(".", tools::file_path_sans_ext(basename(path)), "-"), dirname(path),
    fileext = sub("^[^.]*", "", basename(path))
  )
  on.exit(unlink(temporary))
  writer(temporary)
  if (!file.rename(temporary, path)) {
    abort_seqlift("file", "The file {.path {path}} could not be put in its place.", call = call)
  }
  invisible(path)
}

# The path of a file that can be written, before the work for it starts.
check_output_path <- function(path, arg = "path", call = caller_env()) {
  path <- path.expand(check_string(path, arg, call = call))
  folder <- dirname(path)
  problem <- if (dir.exists(path)) {
    "is a folder"
  } else if (!dir.exists(folder)) {
    "is in a folder that does not exist"
  } else if (file.access(folder, 2L) != 0L) {
    "is in a folder that cannot be written"
  }
  if (!is.null(problem)) {
    abort_seqlift("file",
      "{.arg {arg}} must be the path of a file to write; {.path {path}} {problem}.",
      call = call
    )
  }
  path
}
