# The small models that tests/models/make_models.py writes, and sequences for them.

model_path <- function(name) test_path("models", paste0(name, ".pt"))

test_model <- function(name) load_model(model_path(name))

# Twelve bases each, no two alike, every base present.
test_sequences <- function(n = 3L) {
  all <- c(
    one = "ACGTTGCAAGTC", two = "GGATTACAGATC", three = "TTGCAAGTCCAG", four = "CATGCATGGACT",
    five = "AGCTAGGTACCA"
  )
  all[rep_len(seq_along(all), n)]
}

# Numbers alone: no class, no attributes but the shape.
numbers_of <- function(x) array(as.vector(unclass(x)), dim(x))

largest_difference <- function(a, b) max(abs(as.vector(unclass(a)) - as.vector(unclass(b))))

# Paths and checksums differ between machines and builds.
without_paths <- function(lines) {
  lines <- gsub("[^ \"'<]*/(models/|extdata/)?([^ /\"']+\\.(pt|so[.0-9]*))", "<path>/\\2", lines)
  gsub("[0-9a-f]{32}", "<md5>", lines)
}

# Runs `f` in a fresh R process that finds the same packages. Its arguments and its value travel
# as plain data.
in_new_session <- function(f, args = list()) {
  skip_if_not_installed("callr")
  callr::r(f, args = args, libpath = .libPaths())
}
