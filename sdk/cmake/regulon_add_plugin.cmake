# regulon_add_plugin(<name> [SOURCES] <file>...)
#
# Builds one plugin, plugins/<name>.so below the build folder (or in REGULON_PLUGIN_OUTPUT_DIR). <name> may be written
# kind/name; the slash becomes an underscore, so that plugins of two kinds may share a name. The target is called
# regulon_plugin_<name>, and REGULON_PLUGIN_TARGET holds that name afterwards for what more a plugin wants to link.
#
# The library exports only its entry point (hidden visibility), has no symbol left open at link time (-z defs), and stays
# loaded for the life of the process (-z nodelete): autograd may hold its functions until the very end.
function(regulon_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES")
  set(sources ${arg_UNPARSED_ARGUMENTS} ${arg_SOURCES})
  if(NOT sources)
    message(FATAL_ERROR "regulon_add_plugin(${name} ...): name at least one source file.")
  endif()
  string(REPLACE "/" "_" name "${name}")
  set(target regulon_plugin_${name})
  set(folder "${CMAKE_BINARY_DIR}/plugins")
  if(REGULON_PLUGIN_OUTPUT_DIR)
    set(folder "${REGULON_PLUGIN_OUTPUT_DIR}")
  endif()

  add_library(${target} MODULE ${sources})
  target_link_libraries(${target} PRIVATE regulon::sdk)
  target_link_options(${target} PRIVATE "LINKER:-z,nodelete" "LINKER:-z,defs")
  set_target_properties(${target} PROPERTIES
    PREFIX "" SUFFIX ".so" OUTPUT_NAME "${name}" LIBRARY_OUTPUT_DIRECTORY "${folder}"
    CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    target_compile_options(${target} PRIVATE -O2)
  endif()
  set(REGULON_PLUGIN_TARGET ${target} PARENT_SCOPE)
endfunction()
