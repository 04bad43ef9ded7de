// What is different on a device other than the CPU: its memory is small and fails when it is used
// up, its arithmetic may round to fewer digits than the type has, and one sequence after the other
// is as fast as several at once.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/base/error.h"
#include "core/numeric/work.h"

namespace seqlift {

// There was not enough memory for what was tried; less may fit. Error kind "memory".
class OutOfMemory : public Error {
 public:
  explicit OutOfMemory(const std::string& message) : Error("memory", message) {}
};

// Whether LibTorch, or a library below it, ran out of memory.
bool is_out_of_memory(const std::exception& error);
// Throws OutOfMemory with the error's first line if it is one.
void throw_if_out_of_memory(const std::exception& error);

// "cpu", "cuda" (the one in use) or "cuda:1" with its number.
at::Device device_of(const std::string& name);
// The bytes that are free on a device; nothing where nobody can tell (the CPU).
std::optional<int64_t> free_memory(const at::Device& device);
// The work as it is done there: on a device one thread hands out the work.
WorkOptions work_on(const at::Device& device, WorkOptions work);
// Whether backward passes on a device can be made to run on the thread that asks for them, as they
// do on the CPU: from LibTorch 2.0 on.
bool backward_stays();

struct BatchOptions {
  int64_t most = 32;    // rows of a batch, at most
  int64_t least = 1;    // rows that cannot be split
  bool measure = true;  // size batches by what the first one takes of the free memory
  // In place of free_memory() of the device.
  std::function<std::optional<int64_t>()> free;
};

// The batches of one call, of which several threads may run some each. On a device the first one
// is small and its need of memory is measured; the others are as large as fits what is free. A
// batch that runs out of memory nevertheless is run again in halves, and those after it are no
// larger, on the CPU too. LibTorch's own cache of device memory is given back by LibTorch before it
// reports that memory is out.
//
// While an object lives, float32 on a CUDA device is not rounded to TF32 (10 bits of mantissa, by
// default in convolutions): the differences that make up multipliers would have three digits.
class Batches {
 public:
  using Run = std::function<void(int64_t begin, int64_t end)>;

  Batches(const at::Device& device, const BatchOptions& options);
  ~Batches();
  Batches(const Batches&) = delete;
  Batches& operator=(const Batches&) = delete;

  // Runs rows begin .. end - 1, one batch after the other. A batch that fails is run again, so
  // `run` must keep nothing of it. Errors: kind "memory" where `least` rows are too many.
  void run(int64_t begin, int64_t end, const Run& run);
  // One batch of `rows`: false where it ran out of memory and limit() became smaller.
  bool attempt(int64_t rows, const std::function<void()>& run);
  // How many rows the next batch may have.
  int64_t limit() const { return limit_; }

 private:
  class Arithmetic;

  void measured(int64_t rows, int64_t before, int64_t after);

  at::Device device_;
  BatchOptions options_;
  std::atomic<int64_t> limit_;
  bool measure_ = false;
  std::unique_ptr<Arithmetic> arithmetic_;
};

}  // namespace seqlift
