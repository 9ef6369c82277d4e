/// What `flamingo-config` prints: a header with the config of a checkpoint or a preset, its sizes, and the memory that
/// it takes.
#pragma once
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <flamingo/config/presets/by_name.hpp>
#include <flamingo/core/check.hpp>
#include <flamingo/model/parameter_counts.hpp>
#include <flamingo/model/published.hpp>

namespace flamingo {

/// Parameters of a part; a decoder's keys and values are told beside them.
struct PartSize {
  std::string name;
  std::int64_t parameters = 0;
  bool trained = false;  ///< of the connector, which training changes
};

/// The map that brings map to the decoder's width is a part of its own: the Resampler's published size has
/// no room for it.
template <class Vision, class Lm>
std::vector<PartSize> parts_of(const FlamingoConfig<Vision, Lm>& c) {
  const std::int64_t gated = parameter_count_of(c.xattn, c.lm.dim, c.resampler.out()),
                     lead_out = lead_out_count(c.resampler);
  std::vector<PartSize> parts{{"vision encoder", parameter_count_of(c.vision), false},
                              {"Resampler", parameter_count_of(c.resampler) - lead_out, true}};
  if (lead_out) parts.push_back({"map to the decoder's width", lead_out, true});
  parts.push_back({std::to_string(c.gated_blocks()) + " gated blocks", c.gated_blocks() * gated, true});
  if (c.grafted()) parts.push_back({std::to_string(c.grafted()) + " grafted blocks", grafted_count(c), true});
  parts.push_back({"language model", parameter_count_of(c.lm), false});
  return parts;
}
inline std::vector<PartSize> parts_of(const NfNet& c) { return {{"vision encoder", parameter_count_of(c), false}}; }
inline std::vector<PartSize> parts_of(const ClipConfig& c) {
  const std::int64_t text = parameter_count_of(c.text),
                     outside = c.projection * std::int64_t{c.vision.dim + c.text.dim};
  return {{"vision tower", parameter_count_of(c) - text - outside - 1, false},
          {"text tower", text, false},
          {"projections and scale", outside + 1, false}};
}
template <class Lm>
std::vector<PartSize> parts_of(const Lm& c) {
  return {{"language model", parameter_count_of(c), false}};
}

namespace detail {

/// 6738415616 -> 6,738,415,616
inline std::string grouped(std::int64_t n) {
  std::string digits = std::to_string(n);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}
/// Bytes as the largest of the units B to TiB that leaves at least 1, with three digits.
inline std::string bytes_text(double bytes) {
  constexpr std::array<std::string_view, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < units.size()) {
    bytes /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  const int decimals = unit == 0 || bytes >= 100 ? 0 : bytes >= 10 ? 1 : 2;
  std::snprintf(text.data(), text.size(), "%.*f ", decimals, bytes);
  return std::string(text.data()) + std::string(units[unit]);
}
inline std::string line(std::string_view name, const std::string& value) {
  constexpr std::size_t width = 46;
  const std::size_t used = name.size() + value.size();
  return "//   " + std::string(name) + std::string(used < width ? width - used : 1, ' ') + value + "\n";
}

/// What the declaration needs.
inline std::string includes(const ClipConfig&) { return "#include <flamingo/config/clip.hpp>\n"; }
inline std::string includes(const NfNet&) { return "#include <flamingo/config/nfnet.hpp>\n"; }
template <class T>
std::string includes(const T&) {
  return "#include <flamingo/config/decoder.hpp>\n#include <flamingo/config/flamingo.hpp>\n"
         "#include <flamingo/config/vision.hpp>\n";
}

/// The declaration of a config, its parts one a line.
template <class T>
std::string declaration(const T& config, std::string_view name) {
  return "inline constexpr " + std::string(config_type(config)) + " " + std::string(name) + field_text(config) + ";\n";
}
template <class Vision, class Lm>
std::string declaration(const FlamingoConfig<Vision, Lm>& config, std::string_view name) {
  std::string parts;
  each_field(config, [&](std::string_view part, const auto& value) {
    parts += (parts.empty() ? "\n    ." : ",\n    .") + std::string(part) + " = " + field_text(value);
  });
  return "inline constexpr " + std::string(config_type(config)) + " " + std::string(name) + "{" + parts + "};\n";
}

}  // namespace detail

/// Sizes and memory as comments of C++.
template <class T>
std::string size_report(const T& config) {
  std::string text = "// Parameters\n";
  std::int64_t all = 0, trained = 0;
  for (const PartSize& part : parts_of(config)) {
    text += detail::line(part.name, detail::grouped(part.parameters));
    all += part.parameters;
    trained += part.trained ? part.parameters : 0;
  }
  text += detail::line("all", detail::grouped(all));
  const auto bytes = [](std::int64_t numbers, double of_each) {
    return detail::bytes_text(static_cast<double>(numbers) * of_each);
  };
  text += "// Memory for inference: weights, and where tokens are decoded, keys and values in float32\n";
  text += detail::line("weights as float32", bytes(all, 4));
  text += detail::line("weights as bfloat16", bytes(all, 2));
  text += detail::line("weights as int8", bytes(all, 1));
  if constexpr (requires { config.lm; }) {
    text += detail::line("each token of a text", bytes(kept_per_token(config.lm), 4));
    text += detail::line("each picture", bytes(kept_per_picture(config), 4));
    text += "// Memory for training the connector, before activations (Dry<P> tells those)\n";
    text += detail::line("weights, gradients, two moments", bytes(trained, 16));
    text += detail::line("frozen parts as bfloat16", bytes(all - trained, 2));
  } else if constexpr (requires { config.head_size(); }) {
    text += detail::line("each token of a text", bytes(kept_per_token(config), 4));
  }
  return text;
}

namespace detail {
/// Throws where `name` is no name of C++.
inline void check_name(std::string_view name) {
  const auto letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  check(!name.empty() && std::all_of(name.begin(), name.end(), letter) &&
            std::isdigit(static_cast<unsigned char>(name.front())) == 0,
        "config", "'", name, "' is no name of a constant");
}
template <class T>
std::string header_of(const std::string& title, const T& config, std::string_view name, const std::string& plan = {}) {
  return "// The config of " + title + ", written by flamingo-config.\n//\n" + size_report(config) + plan +
         "#pragma once\n" + includes(config) + "\n" + declaration(config, name);
}
}  // namespace detail

/// The header: `name` is that of the constant. Throws Error as read_config() does, and where `name` is no name of C++.
inline std::string config_header(const std::filesystem::path& folder, std::string_view name = "checkpoint") {
  detail::check_name(name);
  const PublishedConfig config = read_config(folder);
  const std::string shown = std::filesystem::absolute(folder).lexically_normal().filename().string();
  std::string title;
  for (const char c : shown) title += std::isprint(static_cast<unsigned char>(c)) != 0 && c != '\\' ? c : '?';
  return std::visit([&](const auto& c) { return detail::header_of(title, c, name); }, config);
}

/// Comments of C++ that tell a preset's memory beyond its sizes, or nothing.
using PlanOf = std::function<std::string(std::string_view preset)>;

/// The same for a preset by its name. Throws Error where there is none of this name.
inline std::string preset_header(std::string_view preset, std::string_view name, const PlanOf& plan = {}) {
  detail::check_name(name);
  std::string text, known;
  each_preset([&](std::string_view one, const auto& config) {
    known += (known.empty() ? "" : ", ") + std::string(one);
    if (one == preset) text = detail::header_of(std::string(one), config, name, plan ? plan(one) : std::string());
  });
  check(!text.empty(), "flamingo-config", "there is no preset '", preset, "'; there are ", known);
  return text;
}

/// Every field of the files that the config was made of, with "*" where a file states it.
inline std::string field_report(const std::filesystem::path& folder) {
  const std::vector<io::ConfigField> fields =
      io::is_open_flamingo(folder) ? io::read_open_flamingo_config(folder).fields : io::read_hf_config(folder).fields;
  std::string text;
  for (const io::ConfigField& field : fields)
    text += (field.given ? "* " : "  ") + field.name + " = " + field.value + "\n";
  return text;
}

/// The program: its arguments are FOLDER or --preset PRESET, then [--name NAME] [--output FILE] [--fields].
inline int flamingo_config(const std::vector<std::string>& arguments, const PlanOf& plan = {}) {
  std::string folder, preset, name, output;
  bool fields = false;
  try {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const std::string& argument = arguments[i];
      const bool value = argument == "--name" || argument == "--output" || argument == "--preset";
      check(!value || i + 1 < arguments.size(), "flamingo-config", argument, " needs a value");
      if (value)
        (argument == "--name" ? name : argument == "--output" ? output : preset) = arguments[++i];
      else if (argument == "--fields")
        fields = true;
      else {
        check(folder.empty() && !argument.starts_with("--"), "flamingo-config", "'", argument, "' is not expected");
        folder = argument;
      }
    }
    check(folder.empty() != preset.empty() && (preset.empty() || !fields), "flamingo-config",
          "usage: flamingo-config FOLDER | --preset PRESET [--name NAME] [--output FILE] [--fields]\n"
          "Prints the C++ config of a checkpoint's folder or of a preset, its sizes and the memory that it takes; with "
          "--fields the fields of a folder's files, '*' where a file states it.");
    if (name.empty()) name = preset.empty() ? "checkpoint" : preset;
    const std::string text = fields           ? field_report(folder)
                             : preset.empty() ? config_header(folder, name)
                                              : preset_header(preset, name, plan);
    if (output.empty()) {
      std::fwrite(text.data(), 1, text.size(), stdout);
    } else {
      io::AtomicFile file(output);
      file.write(text);
      file.commit();
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}

}  // namespace flamingo
