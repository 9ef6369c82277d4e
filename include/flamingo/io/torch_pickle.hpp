/// The pickles in files of torch.save and TorchScript, run by a machine of their own.
///
/// It knows the opcodes which PyTorch writes for a state dict, and of Python's objects the few that tensors are made
/// of; a module is no more than its attributes. Any other opcode or name is an error: nothing of the file is executed.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/tensor_file.hpp>

namespace flamingo::io {

namespace detail {

/// An object of the pickle. Nodes live as long as their machine and point to each other, in circles too.
struct PickleNode {
  struct None {};
  struct Mark {};
  struct Global {
    std::string_view module, name;
  };
  struct Storage {
    DType dtype;
    std::span<const std::byte> bytes;
  };
  struct Sequence {
    std::vector<PickleNode*> items;
  };
  struct Dict {
    std::vector<std::pair<const PickleNode*, const PickleNode*>> items;
    bool module = false;  ///< of TorchScript: the attributes of an object
  };
  std::variant<None, Mark, bool, std::int64_t, double, std::string_view, Global, Storage, Sequence, Dict, TensorView>
      value;

  std::string_view type_name() const {
    constexpr std::array<std::string_view, 11> names{"None",       "a mark",   "a boolean",  "an integer",
                                                     "a float",    "a string", "a callable", "a storage",
                                                     "a sequence", "a dict",   "a tensor"};
    return names[value.index()];
  }
  template <class T>
  const T* as() const {
    return std::get_if<T>(&value);
  }
};

/// Runs the pickle of an archive and gives its root.
class PickleMachine {
 public:
  using Node = PickleNode;

  /// `source` names the file in errors. `find_storage` gives the bytes of the storage of that key, or nothing.
  /// Tensors that are not row-major are copied, `copies` bytes of them at most.
  template <class FindStorage>
  PickleMachine(std::string_view pickle, std::string source, std::size_t copies, const FindStorage& find_storage)
      : pickle_(pickle), source_(std::move(source)), may_copy_(copies) {
    check(pickle.size() <= (std::size_t{1} << 26), "torch_file", source_, ": the pickle has ", pickle.size(),
          " bytes, at most 67108864 are read");
    while (root_ == nullptr) step(find_storage);
  }

  const Node& root() const { return *root_; }
  /// Moves out what the copies of strided tensors lie in.
  std::deque<std::vector<std::byte>> take_copies() { return std::move(copies_); }

 private:
  template <class... What>
  [[noreturn]] void refuse(const What&... what) const {
    fail("torch_file", source_, ": the pickle at byte ", start_, ": ", what...);
  }

  std::string_view take(std::size_t size) {
    if (size > pickle_.size() - at_) refuse("it ends within an opcode, it is truncated");
    at_ += size;
    return pickle_.substr(at_ - size, size);
  }
  template <class T>
  T number() {
    return load<T>(reinterpret_cast<const std::byte*>(take(sizeof(T)).data()));
  }
  std::string_view line() {
    const std::size_t end = pickle_.find('\n', at_);
    if (end == pickle_.npos) refuse("it ends within an opcode, it is truncated");
    const std::string_view text = take(end + 1 - at_);
    return text.substr(0, text.size() - 1);
  }

  template <class T>
  Node& make(T value) {
    // Nodes are larger than opcodes: 2^21 of them bound what a hostile file can ask for.
    if (nodes_.size() == (std::size_t{1} << 21)) refuse("it makes more than 2097152 objects");
    return nodes_.emplace_back(Node{std::move(value)});
  }
  template <class T>
  void push(T value) {
    stack_.push_back(&make(std::move(value)));
  }
  Node* pop() {
    if (stack_.empty()) refuse("its stack is empty");
    Node* top = stack_.back();
    stack_.pop_back();
    return top;
  }
  Node* top() {
    Node* node = pop();
    stack_.push_back(node);
    return node;
  }
  /// The nodes above the last mark, which goes too.
  std::vector<Node*> pop_to_mark() {
    std::size_t first = stack_.size();
    while (first > 0 && stack_[first - 1]->as<Node::Mark>() == nullptr) --first;
    if (first == 0) refuse("there is no mark on its stack");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(first);
    std::vector<Node*> items(begin, stack_.end());
    stack_.erase(begin - 1, stack_.end());
    return items;
  }
  template <class T>
  T& expect(Node* node, std::string_view what) const {
    T* value = std::get_if<T>(&node->value);
    if (value == nullptr) refuse("found ", node->type_name(), ", expected ", what);
    return *value;
  }
  void push_tuple(std::size_t size) {
    Node::Sequence tuple;
    tuple.items.resize(size);
    for (std::size_t i = size; i-- > 0;) tuple.items[i] = pop();
    push(std::move(tuple));
  }
  void recall(std::uint32_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) refuse("it recalls the object ", key, ", which it never kept");
    stack_.push_back(found->second);
  }

  template <class FindStorage>
  void step(const FindStorage& find_storage) {
    start_ = at_;
    switch (const char code = take(1).front()) {
      case '\x80':
        if (const int protocol = number<std::uint8_t>(); protocol != 2)
          refuse("its protocol is ", protocol, ", expected 2, torch.save's own");
        return;
      case '(':
        return push(Node::Mark{});
      case 'N':
        return push(Node::None{});
      case '\x88':
        return push(true);
      case '\x89':
        return push(false);
      case 'K':
        return push(std::int64_t{number<std::uint8_t>()});
      case 'M':
        return push(std::int64_t{number<std::uint16_t>()});
      case 'J':
        return push(std::int64_t{number<std::int32_t>()});
      case '\x8a':
        return push(long_integer());
      case 'G':
        return push(std::bit_cast<double>(__builtin_bswap64(number<std::uint64_t>())));
      case 'X':
        return push(take(number<std::uint32_t>()));
      case '}':
        return push(Node::Dict{});
      case ']':
      case ')':
        return push(Node::Sequence{});
      case 't':
        return push(Node::Sequence{pop_to_mark()});
      case '\x85':
      case '\x86':
      case '\x87':
        return push_tuple(static_cast<std::size_t>(code - '\x84'));
      case 'a': {
        Node* item = pop();
        expect<Node::Sequence>(top(), "a list").items.push_back(item);
        return;
      }
      case 'e': {
        const auto items = pop_to_mark();
        auto& list = expect<Node::Sequence>(top(), "a list").items;
        list.insert(list.end(), items.begin(), items.end());
        return;
      }
      case 's': {
        const Node *value = pop(), *key = pop();
        expect<Node::Dict>(top(), "a dict").items.emplace_back(key, value);
        return;
      }
      case 'u': {
        const auto items = pop_to_mark();
        auto& dict = expect<Node::Dict>(top(), "a dict").items;
        if (items.size() % 2 != 0) refuse("a key of a dict has no value");
        for (std::size_t i = 0; i < items.size(); i += 2) dict.emplace_back(items[i], items[i + 1]);
        return;
      }
      case 'q':
        memo_[number<std::uint8_t>()] = top();
        return;
      case 'r':
        memo_[number<std::uint32_t>()] = top();
        return;
      case 'h':
        return recall(number<std::uint8_t>());
      case 'j':
        return recall(number<std::uint32_t>());
      case 'c':
        return push(global());
      case 'Q':
        return push(storage(find_storage));
      case 'R':
        return call();
      case '\x81': {
        expect<Node::Sequence>(pop(), "a tuple of arguments");
        if (!is_module(expect<Node::Global>(pop(), "a class"))) refuse("it makes an object that is no module");
        return push(Node::Dict{.items = {}, .module = true});
      }
      case 'b':
        return set_attributes();
      case '.':
        root_ = pop();
        return;
      default:
        refuse("the opcode ", static_cast<int>(static_cast<unsigned char>(code)),
               " is none of those that torch.save writes for a state dict");
    }
  }

  std::int64_t long_integer() {
    const std::string_view bytes = take(number<std::uint8_t>());
    if (bytes.size() > 8) refuse("an integer has ", bytes.size(), " bytes, expected at most 8");
    const bool negative = !bytes.empty() && (static_cast<unsigned char>(bytes.back()) & 0x80u) != 0;
    std::int64_t value = negative ? -1 : 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }

  static constexpr std::array<std::pair<std::string_view, DType>, 10> storage_types{{{"FloatStorage", DType::f32},
                                                                                     {"HalfStorage", DType::f16},
                                                                                     {"BFloat16Storage", DType::bf16},
                                                                                     {"DoubleStorage", DType::f64},
                                                                                     {"CharStorage", DType::i8},
                                                                                     {"ByteStorage", DType::u8},
                                                                                     {"ShortStorage", DType::i16},
                                                                                     {"IntStorage", DType::i32},
                                                                                     {"LongStorage", DType::i64},
                                                                                     {"BoolStorage", DType::boolean}}};
  static std::optional<DType> storage_type(const Node::Global& global) {
    for (const auto& [name, dtype] : storage_types)
      if (global.module == "torch" && global.name == name) return dtype;
    return std::nullopt;
  }
  static bool is(const Node::Global& global, std::string_view module, std::string_view name) {
    return global.module == module && global.name == name;
  }

  /// A class of TorchScript, whose code is in the archive and stays there.
  static bool is_module(const Node::Global& global) {
    return global.module == "__torch__" || global.module.starts_with("__torch__.");
  }

  Node::Global global() {
    Node::Global found;
    found.module = line();
    found.name = line();
    if (!storage_type(found) && !is(found, "collections", "OrderedDict") &&
        !is(found, "torch._utils", "_rebuild_tensor_v2") && !is(found, "torch._utils", "_rebuild_parameter") &&
        !is_module(found) && found.module != "torch.jit._pickle")
      refuse("it asks for ", found.module.substr(0, 100), '.', found.name.substr(0, 100),
             ", which no state dict of tensors needs; nothing of the file was executed");
    return found;
  }

  /// ('storage', type, key, device, number of values)
  template <class FindStorage>
  Node::Storage storage(const FindStorage& find_storage) {
    const auto& id = expect<Node::Sequence>(pop(), "the tuple of a storage").items;
    const auto* tag = id.size() == 5 ? id[0]->as<std::string_view>() : nullptr;
    if (tag == nullptr || *tag != "storage" || !id[1]->as<Node::Global>() || !id[2]->as<std::string_view>() ||
        !id[4]->as<std::int64_t>())
      refuse("a persistent object is no ('storage', type, key, device, size)");
    const auto dtype = storage_type(*id[1]->as<Node::Global>());
    const std::string_view key = *id[2]->as<std::string_view>();
    if (!dtype) refuse("the storage '", key, "' has a type that is none");
    const std::optional<std::span<const std::byte>> bytes = find_storage(key);
    if (!bytes) refuse("there is no storage '", key.substr(0, 100), "' in the archive");
    const std::int64_t count = *id[4]->as<std::int64_t>();
    const std::int64_t size = byte_size(*dtype, std::array{count});
    if (size < 0 || static_cast<std::size_t>(size) != bytes->size())
      refuse("the storage '", key, "' has ", bytes->size(), " bytes, but ", count, " values of ", *dtype, " take ",
             size);
    return {*dtype, *bytes};
  }

  /// The attributes of a module; those of a dict are the versions of its modules, which say nothing about tensors.
  void set_attributes() {
    const Node* state = pop();
    auto& target = expect<Node::Dict>(top(), "an object that gets attributes");
    if (!target.module) return;
    const auto* attributes = state->as<Node::Dict>();
    if (attributes == nullptr || attributes == &target || !target.items.empty())
      refuse("the attributes of a module are no dict of their own, or come twice");
    attributes_ += attributes->items.size();
    if (attributes_ > (std::size_t{1} << 21)) refuse("its modules have more than 2097152 attributes");
    target.items.insert(target.items.end(), attributes->items.begin(), attributes->items.end());
  }

  /// Calls one of the callables that are known.
  void call() {
    const auto& arguments = expect<Node::Sequence>(pop(), "a tuple of arguments").items;
    const auto& callable = expect<Node::Global>(pop(), "a callable");
    if (callable.name == "OrderedDict") {
      if (!arguments.empty()) refuse("an OrderedDict has arguments, expected none");
      return push(Node::Dict{});
    }
    if (callable.name == "_rebuild_tensor_v2") return push(tensor(arguments));
    // Lists of TorchScript, which carry the type of their elements.
    if (callable.module == "torch.jit._pickle" && !arguments.empty() && arguments.front()->as<Node::Sequence>())
      return stack_.push_back(arguments.front());
    if (callable.name != "_rebuild_parameter") refuse("it calls ", callable.name, ", a type");
    const TensorView* data = arguments.empty() ? nullptr : arguments.front()->as<TensorView>();
    if (data == nullptr) refuse("a parameter has no tensor");
    push(*data);
  }

  /// (storage, offset, shape, strides, ...): a view into the storage where it is dense and row-major, else a copy.
  TensorView tensor(const std::vector<Node*>& arguments) {
    const auto* storage = arguments.size() >= 4 ? arguments[0]->as<Node::Storage>() : nullptr;
    const auto* offset = storage ? arguments[1]->as<std::int64_t>() : nullptr;
    if (offset == nullptr) refuse("a tensor is no (storage, offset, shape, strides, ...)");
    const std::vector<std::int64_t> shape = integers(*arguments[2]);
    std::vector<std::int64_t> strides = integers(*arguments[3]);
    if (shape.size() != strides.size())
      refuse("a tensor has the shape ", shape_text(shape), " and the strides ", shape_text(strides));
    const std::int64_t unit = info(storage->dtype).bytes, size = byte_size(storage->dtype, shape);
    TensorView view{.name = {}, .dtype = storage->dtype, .shape = shape, .bytes = {}};
    if (size == 0) return view;
    // The last element, in elements of the storage; `dense` is the stride of a row-major tensor.
    std::int64_t last = *offset, dense = 1;
    bool contiguous = true, fits = size > 0 && *offset >= 0;
    for (std::size_t axis = shape.size(); fits && axis-- > 0;) {
      if (shape[axis] == 1) strides[axis] = dense;  // no step is ever taken
      std::int64_t reach = 0;
      fits = !__builtin_mul_overflow(shape[axis] - 1, strides[axis], &reach) &&
             !__builtin_add_overflow(last, reach, &last);
      contiguous = contiguous && strides[axis] == dense;
      dense *= shape[axis];
    }
    if (!fits || last >= static_cast<std::int64_t>(storage->bytes.size()) / unit)
      refuse("a tensor of shape ", shape_text(shape), ", strides ", shape_text(strides), " and offset ", *offset,
             " leaves its storage of ", storage->bytes.size(), " bytes");
    if (contiguous) {
      view.bytes = storage->bytes.subspan(static_cast<std::size_t>(*offset * unit), static_cast<std::size_t>(size));
      return view;
    }
    view.bytes = copy(*storage, *offset, shape, strides, static_cast<std::size_t>(size));
    return view;
  }

  std::vector<std::int64_t> integers(const Node& node) const {
    const auto* tuple = node.as<Node::Sequence>();
    if (tuple == nullptr) refuse("found ", node.type_name(), ", expected a tuple of integers");
    if (tuple->items.size() > 16) refuse("a tensor has ", tuple->items.size(), " axes, expected at most 16");
    std::vector<std::int64_t> values;
    for (const Node* item : tuple->items) {
      const auto* value = item->as<std::int64_t>();
      if (value == nullptr || *value < 0) refuse("a shape or stride has an entry that is no integer of at least 0");
      values.push_back(*value);
    }
    return values;
  }

  std::span<const std::byte> copy(const Node::Storage& storage, std::int64_t offset,
                                  const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& strides,
                                  std::size_t size) {
    // Expanded tensors and many views of one storage could ask for any amount of memory.
    if (size > storage.bytes.size())
      refuse("a tensor of shape ", shape_text(shape), " and strides ", shape_text(strides),
             " repeats the values of its storage");
    if (size > may_copy_) refuse("the tensors that are not row-major take more than twice the size of the file");
    may_copy_ -= size;
    std::vector<std::byte>& out = copies_.emplace_back(size);
    const auto unit = static_cast<std::size_t>(info(storage.dtype).bytes);
    std::vector<std::int64_t> index(shape.size());
    for (std::size_t at = 0; at < size; at += unit) {
      std::memcpy(out.data() + at, storage.bytes.data() + static_cast<std::size_t>(offset) * unit, unit);
      for (std::size_t axis = shape.size(); axis-- > 0;) {
        offset += strides[axis];
        if (++index[axis] < shape[axis]) break;
        offset -= shape[axis] * strides[axis];
        index[axis] = 0;
      }
    }
    return out;
  }

  std::string_view pickle_;
  std::string source_;
  std::size_t at_ = 0, start_ = 0, attributes_ = 0, may_copy_;
  std::deque<Node> nodes_;
  std::vector<Node*> stack_;
  std::unordered_map<std::uint32_t, Node*> memo_;
  std::deque<std::vector<std::byte>> copies_;
  const Node* root_ = nullptr;
};

}  // namespace detail

}  // namespace flamingo::io
