// Evaluates the checkpoint that this program was built for by a plan, as evaluate_plan does the connector:
//
//   cmake --preset release -DFLAMINGO_CHECKPOINT=FOLDER && cmake --build build/release --target evaluate_checkpoint
//   build/release/examples/evaluate_checkpoint FOLDER examples/evaluation/test.json DATA OUT
#include <iostream>

#include <checkpoint.hpp>

#include "any_checkpoint.hpp"

int main(int argc, char** argv) try {
  return evaluation::run_checkpoint<checkpoint>(
      std::span(argv + 1, argv + argc),
      std::string("usage: evaluate_checkpoint FOLDER PLAN DATA OUT [OPTION VALUE]...\n") + evaluation::options_text);
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
