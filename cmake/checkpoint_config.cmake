# flamingo_config(TARGET FOLDER [NAME name]): when TARGET is built, writes the C++ config of the checkpoint in FOLDER to
# name.hpp, which TARGET can include: #include <name.hpp> declares the constant `name` (checkpoint without NAME).
function(flamingo_config target folder)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "NAME" "")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "flamingo_config: '${arg_UNPARSED_ARGUMENTS}' is not expected")
  endif()
  if(NOT arg_NAME)
    set(arg_NAME checkpoint)
  endif()
  if(NOT TARGET flamingo_config_tool)
    set(source ${CMAKE_BINARY_DIR}/flamingo_config/main.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT [[
#include <flamingo/model/config_report.hpp>

int main(int count, char** arguments) { return flamingo::flamingo_config({arguments + 1, arguments + count}); }
]] @ONLY)
    add_executable(flamingo_config_tool EXCLUDE_FROM_ALL ${source})
    target_link_libraries(flamingo_config_tool PRIVATE flamingo::flamingo)
  endif()
  get_filename_component(folder ${folder} ABSOLUTE)
  # The tensors of OpenFlamingo's folders tell a part of the config; their time stamp is enough.
  set(read "")
  foreach(file config.json open_flamingo.json lm/config.json checkpoint.pt checkpoint.safetensors)
    if(EXISTS ${folder}/${file})
      list(APPEND read ${folder}/${file})
    endif()
  endforeach()
  set(include ${CMAKE_CURRENT_BINARY_DIR}/${target}_config)
  file(MAKE_DIRECTORY ${include})
  add_custom_command(OUTPUT ${include}/${arg_NAME}.hpp
    COMMAND flamingo_config_tool ${folder} --name ${arg_NAME} --output ${include}/${arg_NAME}.hpp
    DEPENDS flamingo_config_tool ${read} COMMENT "Config of ${folder}" VERBATIM)
  target_sources(${target} PRIVATE ${include}/${arg_NAME}.hpp)
  target_include_directories(${target} PRIVATE ${include})
endfunction()
