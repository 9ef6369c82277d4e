// How fast pages become texts: bench_pages FOLDER FILE...
// Reads each file as a page, as extraction does (encoding, markup, main content, rules, signature), writes its text to
// FOLDER/<number>.txt, and prints pages and seconds of processor time, reading and writing files left out.
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include <flamingo/data/web/page.hpp>
#include <flamingo/io/mapped_file.hpp>

int main(int count, char** words) {
  using namespace flamingo;
  if (count < 3) {
    std::cerr << "bench_pages FOLDER FILE...\n";
    return 2;
  }
  const std::filesystem::path folder = words[1];
  web::PageReader reader({.title_in_text = false});
  std::clock_t spent = 0;
  for (int i = 2; i < count; ++i) {
    const io::MappedFile file(words[i]);
    const std::string page(file.text());
    const std::clock_t begin = std::clock();
    const web::ReadPage read = reader.read(page, "file:///page.html");
    spent += std::clock() - begin;
    std::ofstream(folder / (std::to_string(i - 2) + ".txt")) << read.content.text;
  }
  std::cout << count - 2 << ' ' << static_cast<double>(spent) / CLOCKS_PER_SEC << '\n';
}
