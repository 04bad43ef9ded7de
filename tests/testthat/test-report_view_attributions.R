# Results made by hand, so that every number is known: 3 sequences of 60 bp.
viewed <- function(kind = "attributions", n = 3L, length = 60L) {
  set.seed(3)
  codes <- matrix(sample(0:3, n * length, TRUE), length)
  X <- apply(codes, 2L, function(one) paste(c("A", "C", "G", "T")[one + 1L], collapse = ""))
  names(X) <- paste0("s", seq_len(n))
  values <- array(rnorm(n * 4L * length) / 10, c(n, 4L, length))
  if (kind == "attributions") {
    there <- array(0, dim(values))
    for (b in 0:3) there[, b + 1L, ] <- t(codes == b)
    values <- values * there
  }
  new_attributions(values, X, matrix(0, n, 1L),
    kind = kind, info = list(method = "by hand")
  )
}

# decode.js in R.
unpack_numbers <- function(text) {
  bytes <- matrix(jsonlite::base64_dec(text), 3L)
  readBin(as.vector(rbind(as.raw(0), bytes)), "double", ncol(bytes), size = 4L, endian = "little")
}

test_that("numbers survive packing with 16 significant bits", {
  skip_if_not_installed("jsonlite")
  set.seed(1)
  values <- c(0, 1, -1, 0.1, 1e-30, -3e20, 2^-126 * 1.5, rnorm(1000), 1 - 2^-20, 65535.9)
  packed <- unpack_numbers(pack_viewed(values))
  expect_identical(packed[values == 0], 0)
  expect_lt(max(abs(packed - values)[values != 0] / abs(values[values != 0])), 2^-16)
  # What three bytes hold is unchanged.
  expect_identical(unpack_numbers(pack_viewed(packed)), packed)
})

test_that("the payload holds the numbers, bases and scores of the sequences asked for", {
  skip_if_not_installed("htmlwidgets")
  x <- viewed("hypothetical")
  page <- view_attributions(x, sequence = c("s3", "s1"), start = 11, end = 30)
  expect_s3_class(page, "htmlwidget")
  payload <- page$x
  expect_identical(vapply(payload$sequences, `[[`, "", "name"), c("s3", "s1"))
  expect_identical(payload$sequences[[1L]]$letters, attr(x, "X")[["s3"]])
  expect_identical(c(payload$from, payload$to, payload$first, payload$last), c(11L, 30L, 1L, 60L))
  view <- payload$views[[1L]]
  expect_identical(view$name, "by hand")
  observed <- observed_values(x)[c(3L, 1L), , 1L]
  expect_equal(matrix(unpack_numbers(view$observed), 60L), t(observed), tolerance = 2e-5)
  all <- array(unpack_numbers(view$all), c(4L, 60L, 2L))
  expect_equal(all, aperm(plain_numbers(x)[c(3L, 1L), , ], c(2L, 3L, 1L)),
    tolerance = 2e-5, ignore_attr = TRUE
  )
  # Attributions of what is there have no other bases to show.
  expect_null(view_attributions(viewed())$x$views[[1L]]$all)
})

test_that("a page of 20 sequences of 2 kb is smaller than a megabyte", {
  skip_if_not_installed("htmlwidgets")
  page <- view_attributions(viewed("hypothetical", 20L, 2000L))
  text <- htmlwidgets:::toJSON(page$x)
  scripts <- list.files(system.file("htmlwidgets", package = "seqlift"), "[.](js|css)$",
    recursive = TRUE, full.names = TRUE
  )
  expect_length(scripts, 6L)
  expect_lt(nchar(text) + sum(file.size(scripts)), 0.95e6)
})

test_that("tracks lie in the middle, or where they are said to begin", {
  skip_if_not_installed("htmlwidgets")
  x <- viewed()
  profile <- array(seq_len(3 * 2 * 40), c(3L, 2L, 40L), list(NULL, c("plus", "minus"), NULL))
  tracks <- view_attributions(x, tracks = list(
    profile = profile,
    bins = list(values = matrix(1, 3L, 4L), start = 7, bin_width = 10)
  ))$x$tracks
  expect_equal(tracks[[1L]]$start, 11)
  expect_identical(tracks[[1L]]$series, list("plus", "minus"))
  values <- array(unpack_numbers(tracks[[1L]]$values), c(40L, 2L, 3L))
  expect_equal(values, aperm(unname(profile), c(3L, 2L, 1L)))
  expect_equal(
    tracks[[2L]][c("start", "bin_width", "bins")], list(start = 7, bin_width = 10, bins = 4)
  )
})

test_that("marks of every sequence, of some, and of the genome lie where they should", {
  skip_if_not_installed("htmlwidgets")
  x <- viewed()
  marks <- data.frame(
    start = c(3, 10), end = c(5, 20), sequence = c("s2", "s3"), motif = c("GATA", "SP1"),
    q = c(.01, .5)
  )
  items <- view_attributions(
    x, annotations = list(hits = marks), sequence = 2:1
  )$x$annotations[[1L]]$items
  expect_length(items, 1L)
  expect_identical(items[[1L]][c("label", "sequence")], list(label = "GATA", sequence = 0L))
  expect_identical(items[[1L]]$notes, list("q: 0.01"))
  all <- view_attributions(
    x, annotations = data.frame(start = 1, end = 2)
  )$x$annotations[[1L]]$items
  expect_null(all[[1L]]$sequence)

  skip_if_not_installed("GenomicRanges")
  attribution_ranges(x) <- GenomicRanges::GRanges(
    c("chr1:101-160:+", "chr1:301-360:-", "chr2:101-160:+")
  )
  sites <- GenomicRanges::GRanges(c("chr1:111-115:+", "chr1:301-303:+", "chr1:150-170:+"))
  sites$name <- c("plus", "minus", "over the end")
  page <- view_attributions(x, annotations = sites)
  items <- page$x$annotations[[1L]]$items
  expect_identical(vapply(items, `[[`, "", "label"), c("plus", "minus"))
  expect_equal(vapply(items, `[[`, 1, "start"), c(11, 58))
  expect_equal(vapply(items, `[[`, 1, "end"), c(15, 60))
  expect_identical(vapply(items, `[[`, "", "strand"), c("+", "-"))
  expect_identical(page$x$sequences[[2L]]$place$text, "chr1:301-360 (-)")
})

test_that("windows keep the positions of their sequences", {
  skip_if_not_installed("htmlwidgets")
  model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
  effects <- saturation_mutagenesis(model, demo_sequences()[1:2], start = 160, end = 180)
  payload <- view_attributions(effects, start = 170)$x
  expect_identical(
    c(payload$first, payload$last, payload$from, payload$to), c(160L, 180L, 170L, 180L)
  )
  observed <- unpack_numbers(payload$views[[1L]]$observed)
  expect_equal(
    matrix(observed, 21L), t(observed_values(effects)[, , 1L]), tolerance = 2e-5, ignore_attr = TRUE
  )
})

test_that("what cannot be viewed is refused", {
  skip_if_not_installed("htmlwidgets")
  x <- viewed()
  refused <- function(code, class = "seqlift_error_argument") expect_error(code, class = class)
  refused(view_attributions(array(0, c(3, 4, 60))))
  refused(view_attributions(list(x)))
  refused(view_attributions(list(a = x, b = x[1:2, , ])))
  refused(view_attributions(list(a = x, b = 1)))
  refused(view_attributions(x, sequence = "s9"))
  refused(view_attributions(x, sequence = c(1, 1)))
  refused(view_attributions(x, start = 0))
  refused(view_attributions(x, start = 20, end = 10))
  refused(view_attributions(x, theme = "sepia"))
  refused(view_attributions(x, colours = "no colour"))
  refused(view_attributions(x, tracks = list(matrix(0, 3, 60))))
  refused(view_attributions(x, tracks = list(p = matrix(0, 2, 60))))
  refused(view_attributions(x, tracks = list(p = matrix(0, 3, 61))))
  refused(view_attributions(x, tracks = list(p = matrix(NaN, 3, 60))))
  refused(view_attributions(x, annotations = data.frame(from = 1)), "seqlift_error_annotations")
  refused(
    view_attributions(x, annotations = data.frame(start = 1, end = 99)), "seqlift_error_annotations"
  )
  refused(view_attributions(x, annotations = list(1)), "seqlift_error_annotations")
  refused(view_attributions(x, window = 3))
})

test_that("in Shiny an output has the widget's name; its expression is evaluated in its place", {
  skip_if_not_installed("htmlwidgets")
  skip_if_not_installed("shiny")
  html <- as.character(view_attributions_output("scores", height = "300px"))
  expect_match(html, "id=\"scores\"", fixed = TRUE)
  expect_match(html, "height:300px", fixed = TRUE)
  x <- viewed()
  render <- render_view_attributions(view_attributions(x, sequence = 2L))
  payload <- jsonlite::fromJSON(render(), simplifyVector = FALSE)$x
  expect_identical(payload$sequences[[1L]]$name, "s2")
})

test_that("what Shiny is given is checked", {
  skip_if_not_installed("htmlwidgets")
  expect_error(view_attributions_output(1), class = "seqlift_error_argument")
  expect_error(view_attributions_output("a", height = TRUE), class = "seqlift_error_argument")
  expect_error(render_view_attributions(1, env = 1), class = "seqlift_error_argument")
  expect_error(render_view_attributions(1, quoted = NA), class = "seqlift_error_argument")
})

test_that("in a browser: it opens, zooms, moves, tells the numbers under the mouse, and saves", {
  x <- viewed("hypothetical")
  page <- view_attributions(x,
    tracks = list(profile = matrix(seq_len(180) / 7, 3L)),
    annotations = data.frame(start = 20, end = 30, name = "site <1>", sequence = "s1"),
    every_base = TRUE, theme = "light", width = 900, height = 600
  )
  said <- answers_of_page(page, "
    const canvas = element.querySelector('canvas');
    const out = { whole: viewer.window() };
    const key = function (name) {
      canvas.dispatchEvent(new KeyboardEvent('keydown', {
        key: name, bubbles: true, cancelable: true }));
    };
    key('+'); key('+'); out.zoomed = viewer.window();
    key('ArrowRight'); out.moved = viewer.window();
    key('0'); out.again = viewer.window();
    const box = canvas.getBoundingClientRect();
    const plot = box.width - 58 - 12;
    const tell = function (position, y) {
      canvas.dispatchEvent(new PointerEvent('pointermove', {
        clientX: box.left + 58 + (position - 0.5) / 60 * plot, clientY: box.top + y,
        bubbles: true }));
      const tip = element.querySelector('.seqlift-tooltip');
      return tip.style.display === 'block' ? tip.textContent : '';
    };
    out.logo = tell(25, 6 + 30 + 24 + 24 + 60);
    out.heat = tell(25, 6 + 30 + 24 + 24 + 120 + 4 + 13 * 2 + 6);
    out.track = tell(25, 6 + 30 + 24 + 24 + 120 + 60 + 30);
    out.mark = tell(25, 6 + 30 + 24 + 24 + 120 + 60 + 64 + 20);
    canvas.focus();
    canvas.dispatchEvent(new WheelEvent('wheel', { deltaY: -300, clientX: box.left + 58 + plot / 2,
      clientY: box.top + 100, bubbles: true, cancelable: true }));
    out.wheel = viewer.window();
    key('PageDown'); out.second = element.querySelector('select').value;
    key('0'); viewer.draw();
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const colours = new Set();
    for (let i = 0; i < pixels.length; i += 4) {
      colours.add(pixels[i] + ',' + pixels[i + 1] + ',' + pixels[i + 2]);
    }
    out.drawn = ['16,150,72', '37,92,153', '247,179,43', '214,40,57'].map(function (one) {
      return colours.has(one); });
    const svg = viewer.svg();
    const parsed = new DOMParser().parseFromString(svg, 'image/svg+xml');
    out.broken = parsed.getElementsByTagName('parsererror').length;
    out.letters = parsed.getElementsByTagName('path').length;
    viewer.png(function (blob) { out.png = blob.size; answer(out); });
  ")
  expect_equal(said$whole, c(1, 60))
  expect_equal(diff(said$zoomed) + 1, 60 / 1.6^2, tolerance = 1e-6)
  expect_equal(said$moved - said$zoomed, rep(0.15 * 60 / 1.6^2, 2L), tolerance = 1e-6)
  expect_equal(said$again, c(1, 60))
  expect_equal(mean(said$wheel), 30.5, tolerance = 1e-6)
  expect_lt(diff(said$wheel), 30)
  expect_identical(said$second, "1")
  # What the mouse reads are the array's numbers.
  own <- plain_numbers(x)[1L, , 25L]
  base <- substr(attr(x, "X")[1L], 25L, 25L)
  number <- function(text, after) {
    as.numeric(regmatches(text, regexec(paste0(after, " (-?[0-9.e-]+)"), text))[[1L]][2L])
  }
  expect_match(said$logo, "s1, position 25", fixed = TRUE)
  expect_equal(number(said$logo, paste0("by hand: ", base)),
    unname(own[match(base, attribution_bases)]),
    tolerance = 1e-3
  )
  for (b in attribution_bases) {
    expect_equal(number(sub(".*\n", "", said$logo), b), unname(own[match(b, attribution_bases)]),
      tolerance = 1e-3
    )
  }
  expect_equal(number(said$heat, "by hand: G"), unname(own[3L]), tolerance = 1e-3)
  expect_equal(
    number(said$track, "profile:"), matrix(seq_len(180) / 7, 3L)[1L, 25L], tolerance = 1e-3
  )
  expect_match(said$mark, "annotations: site <1>\n20 to 30", fixed = TRUE)
  expect_identical(said$drawn, rep(TRUE, 4L))
  expect_identical(said$broken, 0L)
  expect_gt(said$letters, 40L)
  expect_gt(said$png, 5000L)
})
