# load_model() goes by what a file holds, and says what a file is that holds no model.

# A copy under a name that says nothing.
nameless <- function(path) {
  copy <- tempfile("file")
  file.copy(path, copy)
  copy
}

test_that("every kind of model is opened by its content", {
  script <- load_model(nameless(model_path("tiny")))
  expect_null(script$origin)
  whole <- load_model(nameless(test_path("whole_models", "bpnet.torch")))
  expect_identical(whole$info$class, "BPNet")
  both <- load_model(nameless(test_path("whole_models", "chrombpnet.torch")))
  expect_identical(both$info$class, "ChromBPNet")
  before <- load_model(nameless(test_path("whole_models", "base_pair_net.torch")))
  expect_identical(before$info$class, "BasePairNet")
  suppressMessages(configured <- load_model(nameless(test_path("whole_models", "cherimoya.torch"))))
  expect_identical(configured$info$class, "Cherimoya")
  skip_without_keras()
  hdf5 <- read_in_process(load_model(nameless(test_path("keras", "dialects", "chain_3.h5"))))
  expect_identical(hdf5$origin$format, "Keras HDF5")
  archive <- read_in_process(
    load_model(nameless(test_path("keras", "archives", "chain_3.9.2.keras")))
  )
  expect_identical(archive$origin$format, "Keras archive")
})

test_that("one network is the same from every file that holds it", {
  X <- random_one_hot(c(2, 4, 180), random_state = 1)
  whole <- test_path("whole_models", "bpnet.torch")
  expected <- predict(load_model(whole), X)
  script <- tempfile(fileext = ".pt")
  save_model(load_model(whole), script)
  suppressMessages(models <- list(
    load_model(script), load_model(test_path("whole_models", "bpnet_legacy.torch")),
    load_model(test_path("whole_models", "bpnet_protocol4.torch")), bpnet(read_state_dict(whole)),
    bpnet(test_path("whole_models", "lightning.ckpt"), trimming = 60)
  ))
  for (model in models) {
    found <- predict(model, X)
    for (i in 1:2) {
      expect_equal(numbers_of(found[[i]]), numbers_of(expected[[i]]), tolerance = 1e-12)
    }
  }
})

test_that("a file of weights is told of with the call that takes it", {
  refusal <- function(path) {
    error <- expect_error(suppressMessages(load_model(path)), class = "seqlift_error_file")
    gsub("\\s+", " ", conditionMessage(error))
  }
  dict <- refusal(test_path("architectures", "bpnet_wide.pth"))
  expect_match(dict, "is a state dict: weights without the computation")
  expect_match(dict, "\"iconv.weight\"", fixed = TRUE)
  expect_match(dict, "bpnet()", fixed = TRUE)
  expect_match(refusal(test_path("architectures", "chrombpnet_same.pth")), "chrombpnet()",
    fixed = TRUE
  )
  expect_no_match(refusal(test_path("architectures", "chrombpnet_same.pth")), " or ", fixed = TRUE)
  expect_match(refusal(test_path("architectures", "deepsea_effects.pth")), "deepsea()",
    fixed = TRUE
  )
  checkpoint <- refusal(test_path("whole_models", "lightning.ckpt"))
  expect_match(checkpoint, "is a checkpoint")
  expect_match(checkpoint, "bpnet()", fixed = TRUE)
  class <- refusal(test_path("whole_models", "odd.torch"))
  expect_match(class, "whole model of the class <odd_nets.Odd>", fixed = TRUE)
  expect_match(class, "Python code that is not in it")
  expect_match(refusal(test_path("whole_models", "sequential.torch")), "container.Sequential")
  expect_match(refusal(test_path("state_dicts", "net.safetensors")), "state dict")
})

test_that("other files are told of by what they are", {
  refusal <- function(path) {
    error <- expect_error(load_model(path), class = "seqlift_error_file")
    gsub("\\s+", " ", conditionMessage(error))
  }
  onnx <- tempfile()
  writeBin(c(as.raw(c(0x08, 0x08, 0x12, 0x07)), charToRaw("pytorch")), onnx)
  expect_match(refusal(onnx), "no model of ONNX, or is damaged", fixed = TRUE)
  rds <- tempfile()
  saveRDS(1, rds)
  expect_match(refusal(rds), "R file", fixed = TRUE)
  folder <- tempfile()
  dir.create(folder)
  expect_match(refusal(folder), basename(folder), fixed = TRUE)
  file.create(file.path(folder, "saved_model.pb"))
  expect_match(refusal(folder), "SavedModel", fixed = TRUE)
  text <- tempfile()
  writeLines("a model", text)
  expect_match(refusal(text), basename(text), fixed = TRUE)
  empty <- tempfile()
  file.create(empty)
  expect_match(refusal(empty), basename(empty), fixed = TRUE)
  expect_match(refusal(tempfile()), "no file|not exist|missing")
})

test_that("what another format is turned into is read once for its checksum", {
  counted <- 0L
  tools <- asNamespace("tools")
  suppressMessages(
    trace("md5sum", function() counted <<- counted + 1L, where = tools, print = FALSE)
  )
  on.exit(suppressMessages(untrace("md5sum", where = tools)))
  model <- load_model(test_path("onnx", "bpnet_13.onnx"))
  expect_identical(counted, 1L)
  expect_identical(model$hash, unname(tools::md5sum(model$path)))
})

test_that("a checksum is that of the file", {
  path <- model_path("tiny")
  md5 <- unname(tools::md5sum(path))
  expect_s3_class(load_model(path, checksum = toupper(md5)), "seqlift_model")
  error <- expect_error(load_model(path, checksum = strrep("0", 32L)), class = "seqlift_error_file")
  expect_match(conditionMessage(error), md5, fixed = TRUE)
  for (wrong in list("md5", strrep("0", 40L), 1, strrep("g", 32L))) {
    expect_error(load_model(path, checksum = wrong), class = "seqlift_error_argument")
  }
  empty <- tempfile()
  file.create(empty)
  skip_if_not(
    exists("sha256sum", asNamespace("tools")) || requireNamespace("openssl", quietly = TRUE)
  )
  expect_identical(
    sha256_of(empty), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  )
})

test_that("an output is chosen by its name", {
  model <- load_model(test_path("whole_models", "bpnet.torch"))
  X <- random_one_hot(c(2, 4, 180), random_state = 1)
  outputs <- predict(model, X)
  expect_named(outputs, c("profile", "counts"))
  expect_identical(
    numbers_of(predict(select_output(model, "counts"), X)), numbers_of(outputs$counts)
  )
  expect_identical(profile_score(model, "profile")$wrappers, profile_score(model, 1)$wrappers)
  error <- expect_error(select_output(model, "count"), class = "seqlift_error_argument")
  expect_match(conditionMessage(error), "\"profile\", \"counts\"", fixed = TRUE)
  expect_error(select_output(load_model(model_path("tiny")), "a"), class = "seqlift_error_argument")
})

# ---- files from the web ---------------------------------------------------------------------

# Serves the models of the tests, from an R session of its own.
with_server <- function(code) {
  testthat::skip_if_not_installed("httpuv")
  testthat::skip_if_not_installed("callr")
  testthat::skip_if_not_installed("BiocFileCache")
  port <- httpuv::randomPort()
  served <- normalizePath(test_path("models"))
  log <- tempfile()
  server <- callr::r_bg(function(port, served, log) {
    httpuv::runServer("127.0.0.1", port, list(call = function(req) {
      cat(req$PATH_INFO, "\n", file = log, append = TRUE)
      if (req$PATH_INFO == "/") {
        return(list(status = 200L, headers = list(), body = "here"))
      }
      path <- file.path(served, basename(req$PATH_INFO))
      if (!file.exists(path)) {
        return(list(status = 404L, headers = list(), body = "no"))
      }
      list(
        status = 200L, headers = list("Content-Type" = "application/octet-stream"),
        body = readBin(path, "raw", file.size(path))
      )
    }))
  }, list(port, served, log))
  on.exit(server$kill())
  address <- paste0("http://127.0.0.1:", port, "/")
  # Until it listens.
  for (i in 1:100) {
    up <- tryCatch(suppressWarnings(readLines(address, warn = FALSE)), error = function(error) "")
    if (identical(up, "here")) break
    Sys.sleep(0.1)
  }
  cache <- tempfile("cache")
  restore <- use_cache(cache)
  on.exit(restore(), add = TRUE)
  code(address, cache, function() readLines(log))
}

files_in <- function(cache) {
  setdiff(list.files(file.path(cache, "R", "seqlift")), c(
    "BiocFileCache.sqlite", "BiocFileCache.sqlite.LOCK"
  ))
}

test_that("a model is fetched once, and another file or half of one is not kept", {
  with_server(function(address, cache, asked) {
    url <- paste0(address, "tiny.pt")
    md5 <- unname(tools::md5sum(model_path("tiny")))
    for (i in 1:2) {
      model <- load_model(url, checksum = md5)
      expect_identical(model$hash, md5)
    }
    expect_identical(sum(grepl("tiny.pt", asked(), fixed = TRUE)), 1L)
    expect_length(files_in(cache), 1L)
    expect_match(paste(capture.output(print(model)), collapse = ""), "127.0.0.1", fixed = TRUE)
    # Another checksum, a file that is not there: nothing is kept.
    error <- expect_error(load_model(paste0(address, "two_heads.pt"), checksum = md5),
      class = "seqlift_error_file"
    )
    expect_match(conditionMessage(error), "Nothing of it was kept")
    error <- expect_error(load_model(paste0(address, "none.pt")), class = "seqlift_error_file")
    expect_match(conditionMessage(error), "404")
    expect_length(files_in(cache), 1L)
    # What was fetched is held against a checksum too.
    expect_error(load_model(url, checksum = strrep("0", 32L)), class = "seqlift_error_file")
    # Fetched again where somebody has removed it.
    unlink(file.path(cache, "R", "seqlift", files_in(cache)))
    expect_identical(load_model(url)$hash, md5)
    expect_identical(sum(grepl("tiny.pt", asked(), fixed = TRUE)), 2L)
  })
})

test_that("a transfer that breaks off leaves nothing", {
  for (package in c("BiocFileCache", "httpuv", "callr")) skip_if_not_installed(package)
  # A server that says 1000 bytes, sends 10 and closes.
  port <- httpuv::randomPort()
  server <- callr::r_bg(function(port) {
    socket <- serverSocket(port)
    connection <- socketAccept(socket, blocking = TRUE, open = "r+b", timeout = 60)
    readLines(connection, 1L)
    writeBin(charToRaw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789"), connection)
    close(connection)
    close(socket)
  }, list(port))
  on.exit(server$kill())
  Sys.sleep(1)
  cache <- tempfile("cache")
  restore <- use_cache(cache)
  on.exit(restore(), add = TRUE)
  error <- expect_error(load_model(paste0("http://127.0.0.1:", port, "/a.pt")),
    class = "seqlift_error_file"
  )
  expect_match(conditionMessage(error), "could not be fetched")
  expect_length(files_in(cache), 0L)
})

test_that("a file or folder without a model is told by what it is", {
  folder <- new_folder()
  at <- function(...) file.path(folder, ...)
  # A zip archive of stored, empty files: what is asked is what their names are.
  archive <- function(path, names) {
    old <- setwd(folder)
    on.exit(setwd(old))
    file.create(names)
    utils::zip(basename(path), names, flags = "-q0")
    path
  }
  dir.create(at("plain"))
  dir.create(at("saved"))
  file.create(at("saved", "saved_model.pb"))
  writeLines("hello", at("text.pt"))
  file.create(at("empty.pt"))
  rows <- list(
    list(at("plain"), "is a folder, not a file"), list(at("saved"), "TensorFlow's (SavedModel)"),
    list(at("text.pt"), "is not a TorchScript file"), list(at("empty.pt"), "is too short"),
    list(at("absent.pt"), "There is no file"),
    list(at("lfs.pt"), "pointer of Git LFS"), list(at("page.h5"), "is a web page"),
    list(at("packed.pt.gz"), "is compressed"), list(at("lite.tflite"), "TensorFlow Lite"),
    list(at("settings.json"), "is JSON")
  )
  writeLines("version https://git-lfs.github.com/spec/v1", at("lfs.pt"))
  writeLines("<!DOCTYPE html><html></html>", at("page.h5"))
  connection <- gzfile(at("packed.pt.gz"), "wb")
  writeBin(as.raw(1:100), connection)
  close(connection)
  writeBin(c(as.raw(c(28L, 0L, 0L, 0L)), charToRaw("TFL3"), raw(20L)), at("lite.tflite"))
  writeLines("{\"class_name\": \"Sequential\"}", at("settings.json"))
  if (nzchar(Sys.which("zip"))) {
    rows <- c(rows, list(
      list(archive(at("part.keras"), "config.json"), "but no 'model.weights.h5'"),
      list(archive(at("other.zip"), "readme.txt"), "is a zip archive without a model")
    ))
  }
  for (row in rows) {
    error <- expect_error(load_model(row[[1L]]), class = "seqlift_error_file")
    said <- gsub("\\s+", " ", conditionMessage(error))
    expect_match(said, row[[2L]], fixed = TRUE)
    expect_match(gsub(" ", "", said), gsub(" ", "", row[[1L]]), fixed = TRUE)
    # It is not taken for another kind of file.
    expect_no_match(said, "torch.save()", fixed = TRUE)
  }
})

test_that("Keras's folders are told as folders", {
  folder <- new_folder()
  dir.create(file.path(folder, "saved_model"))
  error <- expect_error(load_keras_model(file.path(folder, "saved_model")),
    class = "seqlift_error_file"
  )
  expect_match(conditionMessage(error), "is a[[:space:]]+folder")
  expect_no_match(conditionMessage(error), "exist")
})

# Weights as float32, as safetensors has them.
write_safetensors <- function(dict, path) {
  at <- 0
  entries <- vapply(names(dict), function(name) {
    shape <- dim(dict[[name]]) %||% length(dict[[name]])
    begin <- at
    at <<- at + 4 * prod(shape)
    sprintf('"%s":{"dtype":"F32","shape":[%s],"data_offsets":[%d,%d]}', name,
      paste(shape, collapse = ","), begin, at
    )
  }, "")
  header <- paste0("{", paste(entries, collapse = ","), "}")
  header <- charToRaw(paste0(header, strrep(" ", -nchar(header) %% 8L)))
  connection <- file(path, "wb")
  on.exit(close(connection))
  writeBin(c(length(header), 0L), connection, size = 4L, endian = "little")
  writeBin(header, connection)
  for (one in dict) {
    writeBin(as.vector(aperm(as.array(one))), connection, size = 4L, endian = "little")
  }
}

test_that("weights in several files are read by their index, and by the folder that holds it", {
  folder <- new_folder()
  dict <- bpnet_dict(tracks = 0L)
  halves <- list(a = names(dict)[1:4], b = names(dict)[-(1:4)])
  shard <- function(half) paste0("model-", half, ".safetensors")
  for (half in names(halves)) {
    write_safetensors(dict[halves[[half]]], file.path(folder, shard(half)))
  }
  index <- file.path(folder, "model.safetensors.index.json")
  write_index <- function(files) {
    map <- paste0('"', unlist(halves), '":"', files, '"', collapse = ",")
    writeLines(paste0('{"metadata":{},"weight_map":{', map, "}}"), index)
  }
  files <- rep(shard(names(halves)), lengths(halves))
  write_index(files)
  X <- random_one_hot(c(2, 4, 140), random_state = 1)
  whole <- predict(bpnet(dict, trimming = 40), X)
  expect_identical(predict(bpnet(folder, trimming = 40), X), whole)
  expect_identical(predict(bpnet(index, trimming = 40), X), whole)
  expect_setequal(names(read_state_dict(folder)), names(dict))
  writeLines('{"model_type": "basepair"}', file.path(folder, "config.json"))
  error <- expect_error(load_model(folder), class = "seqlift_error_file")
  said <- gsub("\\s+", " ", conditionMessage(error))
  expect_match(said, "bpnet()", fixed = TRUE)
  expect_match(said, "basepair", fixed = TRUE)
  refused <- list(
    "../other.safetensors" = "no file beside it", "absent.safetensors" = "absent.safetensors"
  )
  for (file in names(refused)) {
    write_index(replace(files, 5L, file))
    error <- expect_error(read_state_dict(index), class = "seqlift_error_file")
    expect_match(gsub("\\s+", " ", conditionMessage(error)), refused[[file]], fixed = TRUE)
  }
  write_index(rep(shard("a"), length(files)))
  error <- expect_error(read_state_dict(index), class = "seqlift_error_file")
  expect_match(conditionMessage(error), "in none of its files", fixed = TRUE)
})

test_that("shards that torch.save() wrote are read, and an index of too many files is refused", {
  folder <- new_folder()
  parts <- c("net.pth", "views.pth")
  shards <- sprintf("pytorch_model-%05d-of-00002.bin", 1:2)
  file.copy(test_path("state_dicts", parts), file.path(folder, shards))
  own <- lapply(parts, function(part) read_state_dict(test_path("state_dicts", part)))
  files <- rep(shards, lengths(lapply(own, names)))
  index <- file.path(folder, "pytorch_model.bin.index.json")
  entries <- function(names, files) paste0('"', names, '":"', files, '"', collapse = ",")
  writeLines(paste0('{"weight_map":{', entries(unlist(lapply(own, names)), files), "}}"), index)
  together <- read_state_dict(folder)
  expect_setequal(names(together), unlist(lapply(own, names)))
  for (part in own) {
    for (name in setdiff(names(part), c("complex", "empty"))) {
      expect_identical(together[[name]], part[[name]])
    }
  }
  many <- sprintf("w%d", 1:20000)
  writeLines(paste0('{"weight_map":{', entries(many, paste0(many, ".bin")), "}}"), index)
  error <- expect_error(read_state_dict(index), class = "seqlift_error_file")
  expect_match(conditionMessage(error), "20000 files", fixed = TRUE)
})
