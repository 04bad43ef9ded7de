# Files that are read and written, whatever lies at their path.
#
# Read: only a regular file is opened. A pipe would let the reader wait for ever.
#
# Written: beside their place, and renamed when they are whole and on the disk. An export that is
# interrupted, or for which there is no room, leaves the old file as it was, or none.

# ---- reading --------------------------------------------------------------------------------

# The path of a file that can be read; `what` is how a message calls it ("a bigWig file").
check_file <- function(path, arg = "path", call = caller_env(), folder_hint = NULL) {
  path <- path.expand(check_string(path, arg, call = call))
  kind <- core_file_kinds(path)
  problem <- if (kind == "file") {
    if (file.access(path, 4L) != 0L) "cannot be read: its permissions do not allow it"
  } else if (kind == "folder") {
    "is a folder"
  } else if (kind != "absent") {
    paste("is no regular file but", other_kinds[[kind]])
  }
  if (kind == "absent") {
    abort_seqlift("file", "There is no file {.path {path}} ({.arg {arg}}).", call = call)
  }
  if (!is.null(problem)) {
    abort_seqlift("file",
      c("{.arg {arg}} must be the path of a file; {.path {path}} {problem}.",
        i = if (kind == "folder") folder_hint
      ),
      call = call
    )
  }
  path
}

# For what the engine reads, which tells of absent files and folders itself.
refuse_special_file <- function(path, arg = "path", call = caller_env()) {
  if (core_file_kinds(path) %in% names(other_kinds)) {
    check_file(path, arg, call)
  }
}

# What is neither a file, a folder nor absent.
other_kinds <- c(
  pipe = "a named pipe (FIFO)", socket = "a socket", device = "a device",
  unknown = "something that cannot be looked at"
)

# ---- writing --------------------------------------------------------------------------------

# `writer(temporary)` writes the file; its extension is that of `path`. A symbolic link stays, and
# what it points to gets the content. Returns the path.
write_whole <- function(path, writer, arg = "path", call = caller_env()) {
  path <- check_output_path(path, arg, call)
  target <- follow_links(path)
  # Hidden, and in the same folder: only there is a rename one step. Short, where names may be no
  # longer.
  extension <- sub("^[^.]*", "", basename(target))
  stem <- substr(sub("[.].*$", "", basename(target)), 1L, 30L)
  temporary <- tempfile(
    paste0(".", stem, "-"), dirname(target),
    fileext = if (nchar(extension, "bytes") <= 60L) extension else ""
  )
  on.exit(unlink(temporary))
  in_words_of(path, temporary, call, {
    writer(temporary)
    check_on_disk(temporary)
  })
  # A file keeps the permissions that it had.
  if (file.exists(target)) {
    Sys.chmod(temporary, file.mode(target), use_umask = FALSE)
  }
  if (!suppressWarnings(file.rename(temporary, target))) {
    abort_seqlift("file", "The file {.path {path}} could not be put in its place.", call = call)
  }
  invisible(path)
}

# What goes wrong while `temporary` is written is told of `path`, the file that the user knows. Our
# own errors keep their words where they are about something else.
in_words_of <- function(path, temporary, call, code) {
  rlang::try_fetch(code, error = function(error) {
    message <- conditionMessage(error)
    # Messages are broken into lines anywhere.
    named <- grepl(bare(basename(temporary)), bare(message), fixed = TRUE)
    if (inherits(error, "seqlift_error") && !named) {
      return(rlang::zap())
    }
    for (folder in unique(c(dirname(temporary), normalizePath(dirname(temporary))))) {
      message <- gsub(file.path(folder, basename(temporary)), path, message, fixed = TRUE)
    }
    message <- gsub(basename(temporary), basename(path), message, fixed = TRUE)
    abort_seqlift("file",
      c("{.path {path}} could not be written as a whole.",
        i = "Is there room on its disk? Nothing was left of the new file."
      ),
      parent = simpleError(message), call = call
    )
  })
}

bare <- function(text) gsub("[[:space:]]", "", text)

# The last bytes of a file may go missing without a word until they are asked for.
check_on_disk <- function(path) {
  problem <- core_flush_to_disk(path)
  if (nzchar(problem)) {
    stop(problem)
  }
}

# Before a library writes `bytes` more to `path` that does not survive a full disk.
check_room <- function(path, bytes) {
  problem <- core_ask_for_room(tempfile(".room-", dirname(path)), bytes)
  if (nzchar(problem)) {
    stop(problem, ": there is no room for ", format(bytes / 1e6, digits = 2L), " MB")
  }
}

# Connections do not tell when their last buffer did not fit: the size does.
# `before`: bytes in front of them.
write_bytes <- function(bytes, path, before = raw()) {
  connection <- file(path, "wb")
  on.exit(if (!is.null(connection)) close(connection))
  writeBin(before, connection)
  writeBin(bytes, connection)
  close(connection)
  connection <- NULL
  check_size(path, length(before) + length(bytes))
}

check_size <- function(path, bytes) {
  there <- file.size(path)
  if (!identical(as.numeric(there), as.numeric(bytes))) {
    stop(there, " of ", format(bytes, scientific = FALSE), " bytes were written")
  }
}

write_text <- function(lines, path) {
  write_bytes(charToRaw(paste0(enc2utf8(lines), "\n", recycle0 = TRUE, collapse = "")), path)
}

# Uncompressed: it is read once and then removed.
write_r_value <- function(value, path) write_bytes(serialize(value, NULL), path)

copy_whole <- function(from, to) {
  if (!suppressWarnings(file.copy(from, to, overwrite = TRUE, copy.mode = FALSE))) {
    stop("the copy failed")
  }
  check_size(to, file.size(from))
}

# The path of a file that can be written, before the work for it starts.
check_output_path <- function(path, arg = "path", call = caller_env()) {
  path <- path.expand(check_string(path, arg, call = call))
  target <- follow_links(path)
  kind <- if (is.null(target)) "circle" else core_file_kinds(target)
  folder <- dirname(target %||% path)
  problem <- if (!nzchar(path)) {
    "is empty"
  } else if (kind == "circle") {
    "is a symbolic link that leads nowhere"
  } else if (kind == "folder") {
    "is a folder"
  } else if (!kind %in% c("file", "absent")) {
    paste("is no regular file but", other_kinds[[kind]])
  } else if (!dir.exists(folder)) {
    "is in a folder that does not exist"
  } else if (file.access(folder, 2L) != 0L) {
    "is in a folder that cannot be written"
  } else if (kind == "file" && file.access(target, 2L) != 0L) {
    "is write-protected"
  }
  if (!is.null(problem)) {
    abort_seqlift("file",
      "{.arg {arg}} must be the path of a file to write; {.path {path}} {problem}.",
      call = call
    )
  }
  path
}

# ---- folders ------------------------------------------------------------------------------

# `writer(temporary)` fills an empty folder with the `files` (paths in it, those that others name
# before them); they get their places in `folder` when all are whole and on the disk, in that order.
# A folder that was not there is there at once. Other files in it stay.
write_folder <- function(folder, files, writer, arg = "folder", call = caller_env()) {
  folder <- check_output_folder(folder, files, arg, call)
  target <- follow_links(folder)
  new <- core_file_kinds(target) == "absent"
  temporary <- tempfile(".seqlift-", if (new) dirname(target) else target)
  on.exit(unlink(temporary, recursive = TRUE))
  in_words_of(folder, temporary, call, {
    for (one in unique(c(temporary, dirname(file.path(temporary, files))))) {
      make_folder(one)
    }
    writer(temporary)
    for (file in file.path(temporary, files)) {
      check_on_disk(file)
    }
  })
  if (new) {
    if (!suppressWarnings(file.rename(temporary, target))) {
      abort_seqlift("file", "The folder {.path {folder}} could not be put in its place.",
        call = call
      )
    }
    return(invisible(folder))
  }
  for (file in files) {
    in_words_of(folder, temporary, call, make_folder(dirname(file.path(target, file))))
    place <- file.path(target, file)
    own <- follow_links(place)
    if (identical(own, place)) {
      if (file.exists(own)) {
        Sys.chmod(file.path(temporary, file), file.mode(own), use_umask = FALSE)
      }
      if (!suppressWarnings(file.rename(file.path(temporary, file), own))) {
        abort_seqlift("file", "The file {.path {place}} could not be put in its place.",
          call = call
        )
      }
    } else {
      write_whole(place, function(at) copy_whole(file.path(temporary, file), at), arg, call)
    }
  }
  invisible(folder)
}

make_folder <- function(path) {
  if (!dir.exists(path) && !dir.create(path, showWarnings = FALSE)) {
    stop("the folder ", path, " could not be made")
  }
}

# The path of a folder that can be written, and in which `files` can.
check_output_folder <- function(folder, files, arg = "folder", call = caller_env()) {
  folder <- sub("(?<=.)/+$", "", path.expand(check_string(folder, arg, call = call)), perl = TRUE)
  target <- follow_links(folder)
  kind <- if (is.null(target)) "circle" else core_file_kinds(target)
  above <- dirname(target %||% folder)
  problem <- if (!nzchar(folder)) {
    "is empty"
  } else if (kind == "circle") {
    "is a symbolic link that leads nowhere"
  } else if (kind == "file") {
    "is a file"
  } else if (!kind %in% c("folder", "absent")) {
    paste("is no folder but", other_kinds[[kind]])
  } else if (kind == "absent" && !dir.exists(above)) {
    "is in a folder that does not exist"
  } else if (kind == "absent" && file.access(above, 2L) != 0L) {
    "is in a folder that cannot be written"
  } else if (kind == "folder" && file.access(target, 2L) != 0L) {
    "is write-protected"
  }
  if (!is.null(problem)) {
    abort_seqlift("file",
      "{.arg {arg}} must be the path of a folder to write; {.path {folder}} {problem}.",
      call = call
    )
  }
  if (kind == "folder") {
    for (inner in setdiff(dirname(files), ".")) {
      if (core_file_kinds(file.path(target, inner)) != "absent") {
        check_output_folder(file.path(target, inner), character(), arg, call)
      }
    }
    there <- file.path(folder, files)
    for (file in there[dir.exists(dirname(there))]) {
      check_output_path(file, arg, call)
    }
  }
  folder
}

# Where symbolic links lead to, also where nothing is there yet; NULL for a circle of them.
follow_links <- function(path) {
  for (step in seq_len(most_links)) {
    to <- Sys.readlink(path)
    if (is.na(to) || !nzchar(to)) {
      return(path)
    }
    path <- if (is_absolute(to)) to else file.path(dirname(path), to)
  }
  NULL
}

# As many as Linux follows.
most_links <- 40L

is_absolute <- function(path) grepl("^(/|[A-Za-z]:|\\\\)", path)
