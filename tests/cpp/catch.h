// What tests include for Catch2: version 2 (Debian 12) or 3 (Debian 13 and later).
// c10 defines a CHECK of its own. Its header is read here first, so that it is not read again
// later, and its CHECK is dropped: in a test, wherever this file is included, CHECK is
// Catch2's.
#pragma once

#ifdef SEQLIFT_WITH_TORCH
#include <c10/util/Logging.h>
#undef CHECK
#endif

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
