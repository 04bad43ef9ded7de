# Files from the web, fetched once. A file comes into the cache when it is whole and its checksum is
# right; before that it has another name, which is removed whatever happens.

is_url <- function(path) grepl("^(https?|ftp)://", path)

# The path of the file in the cache, or `path` itself where it is no address.
local_file <- function(path, checksum, call) {
  checksum <- check_checksum(checksum, call)
  if (!is_url(path)) {
    if (!is.null(checksum) && core_file_kinds(path) == "file") {
      verify_checksum(path, checksum, path, call)
    }
    return(path)
  }
  check_package("BiocFileCache", "Opening a model by its address", call = call)
  folder <- tools::R_user_dir("seqlift", "cache")
  dir.create(folder, recursive = TRUE, showWarnings = FALSE)
  cache <- suppressMessages(BiocFileCache::BiocFileCache(folder, ask = FALSE))
  known <- BiocFileCache::bfcquery(cache, path, field = "rname", exact = TRUE)
  at <- if (nrow(known) > 0L) BiocFileCache::bfcrpath(cache, rids = known$rid[1L])
  if (!is.null(at) && file.exists(at)) {
    verify_checksum(at, checksum, path, call, cached = TRUE)
    return(unname(at))
  }
  # A record whose file somebody has removed.
  if (nrow(known) > 0L) {
    suppressMessages(BiocFileCache::bfcremove(cache, known$rid))
  }
  # An extension tells people what it is; nothing here goes by it.
  part <- tempfile("part-", folder)
  on.exit(unlink(part))
  download_whole(path, part, call)
  verify_checksum(part, checksum, path, call)
  unname(BiocFileCache::bfcadd(cache, path, part, rtype = "relative", action = "move",
    ext = url_extension(path), download = FALSE
  ))
}

url_extension <- function(url) {
  name <- sub("[?#].*$", "", basename(url))
  if (grepl("[.][A-Za-z0-9]{1,12}$", name)) sub("^.*([.][A-Za-z0-9]+)$", "\\1", name) else ""
}

# R gives up after a minute unless told otherwise.
download_seconds <- 3600

download_whole <- function(url, to, call) {
  before <- options(timeout = max(download_seconds, getOption("timeout")))
  on.exit(options(before))
  # A transfer that breaks off is a warning to R.
  problems <- character()
  note <- function(condition) problems <<- c(problems, conditionMessage(condition))
  status <- tryCatch(
    withCallingHandlers(utils::download.file(url, to, mode = "wb", quiet = TRUE),
      warning = function(warning) {
        note(warning)
        invokeRestart("muffleWarning")
      }
    ),
    error = note
  )
  if (length(problems) > 0L || !identical(as.integer(status), 0L) || !file.exists(to)) {
    abort_seqlift("file",
      c("{.url {url}} could not be fetched.",
        x = escape_braces(paste(problems, collapse = " ")), i = "Nothing of it was kept."
      ),
      call = call
    )
  }
}

# MD5 or SHA-256 as hexadecimal text; NULL for none.
check_checksum <- function(checksum, call) {
  checksum <- check_string(checksum, "checksum", null = TRUE, call = call)
  if (!is.null(checksum) && !grepl("^([0-9a-f]{32}|[0-9a-f]{64})$", tolower(checksum))) {
    abort_argument("checksum", "an MD5 (32 hexadecimal digits) or SHA-256 (64)", describe(checksum),
      call = call
    )
  }
  if (!is.null(checksum)) tolower(checksum)
}

verify_checksum <- function(path, checksum, name, call, cached = FALSE) {
  if (is.null(checksum)) {
    return(invisible())
  }
  found <- if (nchar(checksum) == 32L) unname(tools::md5sum(path)) else sha256_of(path, call)
  if (!identical(found, checksum)) {
    abort_seqlift("file",
      c("{.path {name}} is not the file that {.arg checksum} means.",
        x = "Its checksum is {.val {found}}, not {.val {checksum}}.",
        i = if (cached) {
          "It is the file that was fetched earlier, {.path {path}}: remove that to fetch it again."
        } else if (is_url(name)) {
          "Nothing of it was kept."
        }
      ),
      call = call
    )
  }
}

# R has it from 4.5 on; openssl comes with BiocFileCache.
sha256_of <- function(path, call) {
  own <- get0("sha256sum", asNamespace("tools"))
  if (!is.null(own)) {
    return(unname(own(path)))
  }
  check_package("openssl", "A SHA-256 checksum", call = call)
  connection <- file(path, "rb")
  on.exit(close(connection))
  paste(openssl::sha256(connection), collapse = "")
}
