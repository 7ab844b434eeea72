# Man pages made from what a program says with --help, by help2man: PROGRAM.1, and PROGRAM-COMMAND.1 for each command.
# PROGRAM is a target. Without help2man there are none. The line after "Usage:" in a help text becomes the page's NAME.
find_program(HELP2MAN help2man)
mark_as_advanced(HELP2MAN)

function(pinhole_man_page program page output)
    add_custom_command(OUTPUT ${output}
        COMMAND ${PROJECT_SOURCE_DIR}/cmake/manpage ${HELP2MAN} ${output} $<TARGET_FILE:${program}> "${commands}" ${ARGN}
        DEPENDS ${program} ${PROJECT_SOURCE_DIR}/cmake/manpage
        COMMENT "Manual page ${page}" VERBATIM)
    install(FILES ${output} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endfunction()

function(pinhole_man_pages program)
    if(NOT HELP2MAN)
        message(STATUS "help2man not found: no man pages")
        return()
    endif()
    get_target_property(name ${program} OUTPUT_NAME)
    if(NOT name)
        set(name ${program})
    endif()
    set(pages)
    foreach(command "" ${ARGN})
        if(command)
            set(page ${name}-${command}.1)
        else()
            set(page ${name}.1)
        endif()
        set(commands ${ARGN})
        list(JOIN commands " " commands)
        set(output ${CMAKE_CURRENT_BINARY_DIR}/${page})
        pinhole_man_page(${program} ${page} ${output} ${command})
        list(APPEND pages ${output})
    endforeach()
    add_custom_target(${program}-man ALL DEPENDS ${pages})
endfunction()
