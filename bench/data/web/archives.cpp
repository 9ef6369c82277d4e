// Archives for runs at scale: bench_archives OUTPUT ARCHIVES PAGES PROCESSES FOLDER...
// Writes ARCHIVES compressed WARC files with PAGES pages in all, which are the pages of the folders again and again:
// words outside of tags are replaced by others of the same pages, three of ten in most copies (?copy=n) and one of two
// hundred in one of ten (?near=n). Page n is the same in every run. Pictures stay where they are, under
// http://<name of the folder>.test/.
#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/data/web/inputs.hpp>
#include <flamingo/data/web/processes.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace {

using namespace flamingo;

struct Page {
  std::string url, text;
};

std::string gzip(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string result(deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  deflate(&stream, Z_FINISH);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

bool is_letter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }

/// Words of five letters or more in the body of a page, outside of tags, each with a chance to become another.
std::string perturbed(const std::string& page, const std::vector<std::string>& vocabulary, Random random, float share) {
  std::string result;
  result.reserve(page.size() + page.size() / 8);
  const std::size_t body = std::min(page.find("<body"), page.size());
  bool tag = false;
  for (std::size_t at = 0; at < page.size();) {
    const char c = page[at];
    if (at < body || tag || !is_letter(c) || page[at - 1] == '&') {
      tag = c == '<' || (tag && c != '>');
      result += c;
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < page.size() && is_letter(page[end])) ++end;
    if (end - at > 4 && random.uniform() < share)
      result += vocabulary[static_cast<std::size_t>(random.below(static_cast<int>(vocabulary.size())))];
    else
      result.append(page, at, end - at);
    at = end;
  }
  return result;
}

}  // namespace

int main(int count, char** words) try {
  if (count < 6) {
    std::cerr << "bench_archives OUTPUT ARCHIVES PAGES PROCESSES FOLDER...\n";
    return 2;
  }
  const std::filesystem::path output = words[1];
  const long archives = std::atol(words[2]), pages = std::atol(words[3]);
  const std::vector<std::filesystem::path> folders(words + 5, words + count);
  std::vector<Page> originals;
  std::vector<std::string> vocabulary;
  for (const web::InputShard& shard : web::list_inputs(folders).shards)
    for (const std::string& page : shard.pages) {
      std::string host = shard.prefix.substr(7);
      host.insert(host.size() - 1, ".test");
      originals.push_back({"http://" + host + web::detail::percent_encoded(page),
                           std::string(io::MappedFile(shard.folder / page).text())});
    }
  Random random(1);
  while (vocabulary.size() < 20'000) {
    const std::string& text =
        originals[static_cast<std::size_t>(random.below(static_cast<int>(originals.size())))].text;
    std::size_t at = static_cast<std::size_t>(random.below(static_cast<int>(text.size())));
    while (at < text.size() && is_letter(text[at])) ++at;
    while (at < text.size() && !is_letter(text[at])) ++at;
    std::size_t end = at;
    while (end < text.size() && is_letter(text[end])) ++end;
    if (end - at > 4 && end - at < 15) vocabulary.push_back(text.substr(at, end - at));
  }
  std::filesystem::create_directories(output);
  const auto write = [&](std::size_t number, const auto&) {
    const auto a = static_cast<long>(number);
    std::ofstream file(output / ("pages-" + std::to_string(1000 + a).substr(1) + ".warc.gz"), std::ios::binary);
    for (long n = pages * a / archives; n < pages * (a + 1) / archives; ++n) {
      const auto key = static_cast<std::uint64_t>(n);
      Random choice(key, 3);
      const Page& original = originals[static_cast<std::size_t>(choice.below(static_cast<int>(originals.size())))];
      const bool near = choice.below(10) == 0;
      const std::string block = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" +
                                perturbed(original.text, vocabulary, Random(key, 4), near ? 0.005f : 0.3f);
      file << gzip("WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: " + original.url +
                   (near ? "?near=" : "?copy=") + std::to_string(n) +
                   "\r\nContent-Type: application/http; msgtype=response\r\nContent-Length: " +
                   std::to_string(block.size()) + "\r\n\r\n" + block + "\r\n\r\n");
    }
    check(file.good(), "archives", output.string(), ": cannot write");
  };
  web::in_processes(static_cast<std::size_t>(archives), std::atoi(words[4]), write, [](std::size_t, std::size_t) {});
} catch (const std::exception& error) {
  std::cerr << "bench_archives: " << error.what() << '\n';
  return 1;
}
