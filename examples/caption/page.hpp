/// One HTML file that opens anywhere: pictures, what was said of them, and where the cross-attention looked.
#pragma once
#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/io/atomic_file.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace caption {

struct Card {
  std::filesystem::path file;
  std::string note, truth, zero_shot, four_shot, answer;
  std::vector<std::string> choices;
  std::vector<double> heat;  ///< of each grid cell, line by line
};

class Page {
 public:
  Page(std::filesystem::path path, int grid) : path_(std::move(path)), grid_(grid) {
    out_ << "<!doctype html><html lang=en><meta charset=utf-8><title>flamingo: captions</title><style>"
            "body{font:16px/1.4 system-ui,sans-serif;margin:2rem auto;max-width:72rem;color:#222;background:#fafafa}"
            "main{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:1rem}"
            "article{background:#fff;border:1px solid #ddd;border-radius:.5rem;padding:.75rem}"
            ".look{position:relative;aspect-ratio:1}.look img{width:100%;height:100%;object-fit:contain}"
            ".look svg{position:absolute;inset:0;width:100%;height:100%;mix-blend-mode:multiply}"
            "dl{display:grid;grid-template-columns:auto 1fr;gap:.1rem .6rem;margin:.5rem 0 0}dt{color:#777}dd{margin:0}"
            ".right{color:#067a38;font-weight:600}.wrong{color:#b3261e}small{color:#777}</style>"
            "<h1>What the model says</h1><p>A Perceiver Resampler and five gated cross-attention layers, trained "
            "between "
            "a frozen EfficientNet-Lite0 and a frozen SmolLM2-135M. Red: where the cross-attention looked while the "
            "caption was written.</p><main>";
  }

  void add(const Card& card) {
    out_ << "<article><div class=look><img alt=\"\" src=\"" << data_uri(card.file) << "\"><svg viewBox=\"0 0 " << grid_
         << ' ' << grid_ << "\">";
    const double most = card.heat.empty() ? 0 : *std::max_element(card.heat.begin(), card.heat.end());
    for (std::size_t i = 0; i < card.heat.size() && most > 0; ++i)
      out_ << "<rect width=1 height=1 x=" << static_cast<int>(i) % grid_ << " y=" << static_cast<int>(i) / grid_
           << " fill=red fill-opacity=" << 0.6 * card.heat[i] / most << " />";
    out_ << "</svg></div><dl>";
    if (!card.truth.empty()) line("name", escaped(card.truth));
    line("0 shots", escaped(card.zero_shot));
    line("4 shots", escaped(card.four_shot));
    if (!card.answer.empty()) {
      std::string mark;
      if (!card.truth.empty()) mark = card.answer == card.truth ? " class=right" : " class=wrong";
      std::string choices;
      if (card.choices.size() <= 8)
        for (const std::string& c : card.choices) choices += (choices.empty() ? "" : ", ") + escaped(c);
      else
        choices = std::to_string(card.choices.size()) + " names";
      line("chosen", "<span" + mark + ">" + escaped(card.answer) + "</span> <small>of " + choices + "</small>");
    }
    out_ << "</dl><small>" << escaped(card.note) << "</small></article>";
  }

  void write() {
    if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path());
    flamingo::io::AtomicFile file(path_);
    file.write(out_.str() + "</main></html>\n");
    file.commit();
  }

 private:
  void line(std::string_view name, const std::string& html) {
    out_ << "<dt>" << name << "</dt><dd>" << html << "</dd>";
  }
  static std::string escaped(std::string_view text) {
    std::string safe;
    for (const char c : text) switch (c) {
        case '&':
          safe += "&amp;";
          break;
        case '<':
          safe += "&lt;";
          break;
        case '>':
          safe += "&gt;";
          break;
        case '"':
          safe += "&quot;";
          break;
        default:
          safe += c;
      }
    return safe;
  }
  static std::string data_uri(const std::filesystem::path& path) {
    static constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const flamingo::io::MappedFile file(path);
    const auto bytes = file.data();
    const auto at = [&](std::size_t i) { return i < bytes.size() ? std::to_integer<unsigned>(bytes[i]) : 0u; };
    std::string text = at(0) == 0x89  ? "data:image/png;base64,"
                       : at(0) == 'G' ? "data:image/gif;base64,"
                                      : "data:image/jpeg;base64,";
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
      const unsigned three = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
      for (unsigned n = 0; n < 4; ++n) text += i + n > bytes.size() ? '=' : digits[three >> (18 - 6 * n) & 63];
    }
    return text;
  }

  std::filesystem::path path_;
  int grid_;
  std::ostringstream out_;
};

}  // namespace caption
