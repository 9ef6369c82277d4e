// Asks the component `text` for a model that is not there: prints the error.
#include <cstdio>

#include <flamingo/io/sentencepiece.hpp>

int main() {
  try {
    flamingo::io::sentencepiece_tokenizer("none.model");
  } catch (const flamingo::Error& error) {
    std::puts(error.what());
  }
}
