#include "core/numeric/device.h"

#include <c10/core/AutogradState.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>
#include <torch/version.h>

#include <algorithm>
#include <new>

#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// Of what is free, what batches are sized to: memory comes in blocks, some of which stay unused.
constexpr double usable = 0.9;

std::string first_line(const std::exception& error) {
  const auto* own = dynamic_cast<const c10::Error*>(&error);
  const std::string text = own ? own->what_without_backtrace() : error.what();
  return text.substr(0, text.find('\n'));
}

// LibTorch from 2.9 on warns of the interface to these settings that the versions before it have.
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)
class Unwarned {
 public:
  Unwarned() : guard_(&handler_) {}

 private:
  struct Handler : public c10::WarningHandler {
    void process(const c10::Warning&) override {}
  };
  Handler handler_;
  c10::WarningUtils::WarningHandlerGuard guard_;
};
#else
struct Unwarned {
  Unwarned() {}
};
#endif

// Backward passes on this thread, where LibTorch can: an interruption and a rule written in R are
// only good there.
class BackwardHere {
 public:
#if TORCH_VERSION_MAJOR >= 2
  BackwardHere() : before_(c10::AutogradState::get_tls_state().get_multithreading_enabled()) {
    c10::AutogradState::get_tls_state().set_multithreading_enabled(false);
  }
  ~BackwardHere() { c10::AutogradState::get_tls_state().set_multithreading_enabled(before_); }

 private:
  bool before_;

 public:
#else
  BackwardHere() {}
  ~BackwardHere() {}
#endif
  BackwardHere(const BackwardHere&) = delete;
  BackwardHere& operator=(const BackwardHere&) = delete;
};

}  // namespace

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const OutOfMemory*>(&error) ||
      dynamic_cast<const c10::OutOfMemoryError*>(&error) ||
      dynamic_cast<const std::bad_alloc*>(&error)) {
    return true;
  }
  // Errors of the core were looked at where they arose, and may quote anything.
  if (dynamic_cast<const Error*>(&error)) {
    return false;
  }
  const std::string text = first_line(error);
  for (const char* words :
       {"out of memory", "can't allocate memory", "not enough memory", "CUDNN_STATUS_ALLOC_FAILED",
        "CUBLAS_STATUS_ALLOC_FAILED", "CUSOLVER_STATUS_ALLOC_FAILED", "CUFFT_ALLOC_FAILED"}) {
    if (text.find(words) != std::string::npos) {
      return true;
    }
  }
  return false;
}

void throw_if_out_of_memory(const std::exception& error) {
  if (is_out_of_memory(error)) {
    throw OutOfMemory(first_line(error));
  }
}

at::Device device_of(const std::string& name) {
  const at::Device device(name);
  if (device.is_cpu() || device.has_index()) {
    return device;
  }
  return c10::impl::VirtualGuardImpl(device.type()).getDevice();
}

// CUDA's own function, looked up at run time: the core is compiled against LibTorch without CUDA,
// too. LibTorch's CUDA library brings it along.
std::optional<int64_t> free_memory(const at::Device& device) {
  if (!device.is_cuda()) {
    return std::nullopt;
  }
  using Query = int (*)(size_t*, size_t*);
  static const auto query = reinterpret_cast<Query>(dlsym(RTLD_DEFAULT, "cudaMemGetInfo"));
  size_t free = 0;
  size_t total = 0;
  const c10::DeviceGuard guard(device);
  if (!query || query(&free, &total) != 0) {
    return std::nullopt;
  }
  return static_cast<int64_t>(free);
}

WorkOptions work_on(const at::Device& device, WorkOptions work) {
  work.threads = device.is_cpu() ? work.threads : 1;
  return work;
}

bool backward_stays() { return TORCH_VERSION_MAJOR >= 2; }

// LibTorch's settings for all of the process, which get their values back. Where they were set by
// another interface than this one, LibTorch (from 2.9 on) refuses to tell them: then they stay.
class Batches::Arithmetic {
 public:
  Arithmetic() {
    const Unwarned unwarned;
    try {
      convolutions_ = at::globalContext().allowTF32CuDNN();
      products_ = at::globalContext().allowTF32CuBLAS();
    } catch (const c10::Error&) {
      convolutions_ = products_ = false;
    }
    set(convolutions_, products_, false);
  }
  ~Arithmetic() { set(convolutions_, products_, true); }
  Arithmetic(const Arithmetic&) = delete;
  Arithmetic& operator=(const Arithmetic&) = delete;

 private:
  static void set(bool convolutions, bool products, bool allowed) {
    const Unwarned unwarned;
    if (convolutions) {
      at::globalContext().setAllowTF32CuDNN(allowed);
    }
    if (products) {
      at::globalContext().setAllowTF32CuBLAS(allowed);
    }
  }

  bool convolutions_ = false;
  bool products_ = false;
};

Batches::Batches(const at::Device& device, const BatchOptions& options)
    : device_(device), options_(options), limit_(std::max<int64_t>(options.most, 1)) {
  if (!options_.free) {
    options_.free = [device]() { return free_memory(device); };
  }
  if (device.is_cuda()) {
    arithmetic_ = std::make_unique<Arithmetic>();
  }
  measure_ = options_.measure && !device.is_cpu() && limit_ > options_.least && options_.free();
  limit_ = measure_ ? options_.least : limit_.load();
}

Batches::~Batches() = default;

// A batch's need is what it took of the free memory, model and all, which is more than each row
// after it takes; what an earlier call left in LibTorch's cache is not seen, and may make it less.
void Batches::measured(int64_t rows, int64_t before, int64_t after) {
  const double taken = static_cast<double>(before - after);
  const double each = taken / static_cast<double>(rows);
  const double all = usable * static_cast<double>(before);
  const double fitting = each > 0 ? all / each : static_cast<double>(options_.most);
  limit_ = std::clamp(static_cast<int64_t>(std::min(fitting, 1e15)), options_.least,
                      std::max(options_.most, options_.least));
}

bool Batches::attempt(int64_t rows, const std::function<void()>& run) {
  const std::optional<int64_t> before = measure_ ? options_.free() : std::nullopt;
  std::optional<std::string> why;
  try {
    std::optional<BackwardHere> here;
    if (!device_.is_cpu()) {
      here.emplace();
    }
    run();
  } catch (const std::exception& error) {
    if (!is_out_of_memory(error)) {
      throw;
    }
    why = first_line(error);
  }
  const std::optional<int64_t> after = measure_ ? options_.free() : std::nullopt;
  measure_ = false;
  if (!why) {
    if (before && after) {
      measured(rows, *before, *after);
    }
    return true;
  }
  if (rows <= options_.least) {
    const bool one = rows == 1;
    throw Error("memory",
                "There is not enough memory on " + device_.str() + " for a batch of " +
                    std::to_string(rows) + ": " + *why + " " +
                    (one ? "It is the smallest there is."
                         : "These rows belong together: choose a smaller `batch_size`.") +
                    " Shorter sequences" + (device_.is_cpu() ? "" : ", device = \"cpu\"") +
                    " or dtype = \"float32\" take less, and so does ending what else uses the "
                    "memory.");
  }
  int64_t limit = limit_;
  const int64_t half = std::max(rows / 2, options_.least);
  while (half < limit && !limit_.compare_exchange_weak(limit, half)) {
  }
  return false;
}

void Batches::run(int64_t begin, int64_t end, const Run& run) {
  while (begin < end) {
    const int64_t rows = std::min<int64_t>(limit_, end - begin);
    if (attempt(rows, [&]() { run(begin, begin + rows); })) {
      begin += rows;
    }
  }
}

}  // namespace seqlift
