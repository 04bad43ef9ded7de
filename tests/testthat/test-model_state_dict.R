# Weights from files that Python wrote: tests/models/make_state_dicts.py. Damaged ones by the
# thousand are in tests/cpp/test-damaged_files.cpp.

state_dict_path <- function(name) test_path("state_dicts", name)

# The weights of `Tiny`, by the pattern of tests/models/make_models.py.
tiny_weights <- function() {
  lapply(
    list(
      conv.weight = c(2L, 4L, 3L), conv.bias = 2L, dense.weight = c(3L, 20L), dense.bias = 3L
    ),
    pattern_weights
  )
}

# Element i of a tensor of whole numbers, and of any other: make_state_dicts.py.
whole_numbers <- function(shape) {
  index <- seq_len(prod(shape)) - 1
  aperm(array((7 * index) %% 11, rev(shape)), rev(seq_along(shape)))
}

test_that("a state dict is the same in each format of torch.save() and in safetensors", {
  formats <- c(
    net.pth = "PyTorch", protocol4.pth = "PyTorch", net_pickle.pth = "PyTorch pickle",
    net_tar.pth = "PyTorch tar", net.safetensors = "safetensors", checkpoint.pth = "PyTorch"
  )
  for (file in names(formats)) {
    state_dict <- read_state_dict(state_dict_path(file))
    expect_s3_class(state_dict, "seqlift_state_dict")
    expect_identical(unclass(state_dict)$format, formats[[file]], info = file)
    # float32 holds seven digits.
    expect_equal(as.list(state_dict), tiny_weights(), tolerance = 1e-7, info = file)
  }
})

test_that("a state dict of older tests and the model's own weights are the same", {
  expect_equal(as.list(read_state_dict(model_path("state_dict"))), tiny_weights(), tolerance = 1e-7)
})

test_that("tensors are asked for by name or number, alone or several", {
  state_dict <- read_state_dict(state_dict_path("net.pth"))
  weights <- tiny_weights()
  expect_identical(names(state_dict), names(weights))
  expect_length(state_dict, 4L)
  expect_equal(state_dict[["conv.weight"]], weights$conv.weight, tolerance = 1e-7)
  expect_equal(state_dict$dense.bias, weights$dense.bias, tolerance = 1e-7)
  expect_equal(state_dict[[3]], weights$dense.weight, tolerance = 1e-7)
  expect_equal(state_dict[c("dense.bias", "conv.bias")], weights[c(4, 2)], tolerance = 1e-7)
  expect_equal(state_dict[-1], weights[-1], tolerance = 1e-7)
  expect_equal(lapply(state_dict, dim), lapply(weights, dim))
  for (index in list("conv", "", 5, NA, c("conv.bias", "dense.bias"), integer())) {
    expect_error(state_dict[[index]], class = "seqlift_error_argument")
  }
  # No part of a name will do.
  expect_error(state_dict$conv.w, class = "seqlift_error_argument")
})

test_that("every type of number is read", {
  digits <- c(float64 = 1e-15, float32 = 1e-7, float16 = 1e-3, bfloat16 = 1e-2)
  for (file in c("types.pth", "types_pickle.pth", "types.safetensors")) {
    state_dict <- read_state_dict(state_dict_path(file))
    for (type in names(digits)) {
      expect_equal(state_dict[[type]], pattern_weights(c(2L, 3L)), tolerance = digits[[type]])
    }
    for (type in c("int64", "int32", "int16", "int8", "uint8")) {
      expect_identical(state_dict[[type]], whole_numbers(c(2L, 3L)), info = type)
    }
    expect_identical(state_dict$bool, array(c(1, 0, 1)))
    expect_identical(unclass(state_dict)$dtypes, names(state_dict), info = file)
  }
})

test_that("tensors that share numbers or hold them in another order are read", {
  whole <- pattern_weights(c(4L, 6L))
  for (file in c("views.pth", "views_pickle.pth")) {
    views <- as.list(read_state_dict(state_dict_path(file)))
    expect_equal(views$whole, whole, tolerance = 1e-7)
    expect_equal(views$transposed, t(whole), tolerance = 1e-7)
    expect_equal(views$row, array(whole[2, ]), tolerance = 1e-7)
    expect_equal(views$part, whole[2:3, c(1, 3, 5)], tolerance = 1e-7)
    expect_equal(views$scalar, array(whole[3, 6]), tolerance = 1e-7)
    expect_equal(views$expanded, array(rep(whole[1, 1], 5)), tolerance = 1e-7)
    expect_identical(views$empty, array(0, c(0L, 3L)))
    expect_equal(views$parameter, array(whole[4, ]), tolerance = 1e-7)
    expect_equal(views$complex, array(c(1 + 2i, -3.5i)))
  }
})

test_that("dicts and lists inside a dict give names with dots", {
  state_dict <- read_state_dict(state_dict_path("nested.pth"))
  expect_identical(
    names(state_dict), c("body.layers.0.weight", "body.layers.1.weight", "head.bias")
  )
  expect_identical(state_dict[["body.layers.1.weight"]], array(c(0, 0, 0)))
})

without_folders <- function(lines) sub("/.*/", "<path>/", lines)

test_that("a state dict says what it holds", {
  expect_snapshot(transform = without_folders, {
    read_state_dict(state_dict_path("types.pth"))
    read_state_dict(state_dict_path("views.pth"))
  })
})

test_that("of a file that would run something the weights are read, and nothing runs", {
  for (file in c("hostile.pth", "hostile_pickle.pth")) {
    path <- normalizePath(state_dict_path(file))
    in_empty_folder({
      expect_message(state_dict <- read_state_dict(path), "note (posix.system)",
        fixed = TRUE, class = "seqlift_message_state_dict"
      )
      expect_identical(as.list(state_dict), list(weight = array(c(1, 1))))
      expect_identical(list.files(), character())
    })
  }
})

test_that("objects of all sorts beside the weights are passed over, in every format", {
  for (file in c("metadata.pth", "metadata_pickle.pth", "metadata4.pth")) {
    path <- normalizePath(state_dict_path(file))
    in_empty_folder({
      suppressMessages(state_dict <- read_state_dict(path))
      expect_identical(list.files(), character())
    })
    expect_equal(as.list(state_dict), tiny_weights(), tolerance = 1e-7, info = file)
  }
})

test_that("weights are found wherever training code and wrappers put them", {
  for (file in c("lightning.ckpt", "averaged.pth", "compiled.pth", "inside.pth")) {
    expect_message(state_dict <- read_state_dict(state_dict_path(file)),
      class = "seqlift_message_state_dict"
    )
    expect_equal(as.list(state_dict), tiny_weights(), tolerance = 1e-7, info = file)
  }
  twice <- state_dict_path("twice.pth")
  error <- expect_error(read_state_dict(twice), class = "seqlift_error_state_dict")
  expect_match(conditionMessage(error), "\"state_dict\" and under \"ema.shadow\"", fixed = TRUE)
  other <- read_state_dict(twice, prefix = "ema.shadow")
  expect_equal(other$conv.bias, 2 * tiny_weights()$conv.bias, tolerance = 1e-7)
  expect_equal(
    read_state_dict(twice, prefix = "state_dict.conv")$bias, tiny_weights()$conv.bias,
    tolerance = 1e-7
  )
  expect_error(read_state_dict(twice, prefix = "no"), class = "seqlift_error_state_dict")
})

test_that("a whole model is its state dict", {
  expect_equal(
    as.list(read_state_dict(state_dict_path("whole_model.pth"))), tiny_weights(),
    tolerance = 1e-7
  )
})

test_that("files that hold no state dict are refused and told apart", {
  files <- c("compressed.pth", "numbers.pkl", "missing.pth", ".", "../models/tiny.pt")
  for (file in files) {
    expect_error(read_state_dict(state_dict_path(file)), class = "seqlift_error_file")
  }
  expect_error(read_state_dict(model_path("tiny")), "load_model()", fixed = TRUE)
  in_empty_folder({
    file.create("empty.pth")
    writeLines("This is no state dict.", "text.pth")
    writeBin(as.raw(c(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a)), "keras.h5")
    expect_snapshot(error = TRUE, {
      read_state_dict("missing.pth")
      read_state_dict(".")
      read_state_dict("empty.pth")
      read_state_dict("text.pth")
      read_state_dict("keras.h5")
    })
  })
  for (path in list(NA_character_, c("a.pth", "b.pth"), 3, NULL)) {
    expect_error(read_state_dict(path), class = "seqlift_error_argument")
  }
})

test_that("a file cut short anywhere or with a byte changed is refused", {
  for (file in c("net.pth", "net_pickle.pth", "net_tar.pth", "net.safetensors")) {
    whole <- readBin(state_dict_path(file), "raw", 1e6)
    in_empty_folder({
      sizes <- c(1, 10, 100, length(whole) %/% 4)
      if (file != "net_tar.pth") {
        # A tar archive ends with kilobytes of zeros.
        sizes <- c(sizes, length(whole) - 1)
      }
      for (size in sizes) {
        writeBin(whole[seq_len(size)], "cut.pth")
        expect_error(read_state_dict("cut.pth"), class = "seqlift_error_file")
      }
    })
  }
  whole <- readBin(state_dict_path("net.pth"), "raw", 1e6)
  # 0.03 - 0.5, the first weight of all.
  place <- grepRaw(writeBin(-0.47, raw(), size = 4L, endian = "little"), whole, fixed = TRUE)
  whole[place] <- xor(whole[place], as.raw(1L))
  in_empty_folder({
    writeBin(whole, "changed.pth")
    expect_error(read_state_dict("changed.pth"), "CRC-32", class = "seqlift_error_file")
  })
})

test_that("a state dict survives saveRDS(), and is refused when its file has changed", {
  path <- normalizePath(state_dict_path("net.pth"))
  in_empty_folder({
    file.copy(path, "net.pth")
    state_dict <- unserialize(serialize(read_state_dict("net.pth"), NULL))
    expect_equal(as.list(state_dict), tiny_weights(), tolerance = 1e-7)
    writeBin(readBin(path, "raw", 100), "net.pth")
    expect_error(state_dict$conv.bias, "has changed", class = "seqlift_error_file")
    unlink("net.pth")
    expect_error(state_dict$conv.bias, class = "seqlift_error_file")
  })
})
