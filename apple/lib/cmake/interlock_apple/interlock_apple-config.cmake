# find_package(interlock_apple) defines the target interlock::apple:
#
#     if(NOT APPLE)
#       find_package(interlock_apple REQUIRED)
#       target_link_libraries(my-jit PRIVATE interlock::apple)
#     endif()
get_filename_component(_interlock_apple_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET interlock::apple)
  add_library(interlock::apple SHARED IMPORTED)
  set_target_properties(interlock::apple PROPERTIES
    IMPORTED_LOCATION "${_interlock_apple_prefix}/lib/libinterlock_apple.so"
    INTERFACE_INCLUDE_DIRECTORIES "${_interlock_apple_prefix}/include")
endif()
unset(_interlock_apple_prefix)
