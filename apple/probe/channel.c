#include "channel.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

typedef union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
} descriptor_message;

bool channel_receive(int socket, char line_out[LINE_BYTES_MAX], int *descriptor_out) {
    *descriptor_out = NO_DESCRIPTOR;
    size_t used = 0;
    while (used < LINE_BYTES_MAX) {
        descriptor_message control = {0};
        struct iovec part = {.iov_base = line_out + used, .iov_len = LINE_BYTES_MAX - used};
        struct msghdr message = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t count = recvmsg(socket, &message, 0);
        if (count <= 0) {
            return false;
        }
        const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header != NULL && header->cmsg_type == SCM_RIGHTS) {
            memcpy(descriptor_out, CMSG_DATA(header), sizeof *descriptor_out);
        }
        used += (size_t)count;
        if (line_out[used - 1] == '\n') {
            line_out[used - 1] = '\0';
            return true;
        }
    }
    return false;
}

bool channel_send(int socket, const char *line, int descriptor) {
    char end = '\n';
    struct iovec parts[] = {{.iov_base = (void *)(size_t)line, .iov_len = strlen(line)}, {.iov_base = &end, .iov_len = 1}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    descriptor_message control = {0};
    if (descriptor != NO_DESCRIPTOR) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof descriptor);
        memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    return sendmsg(socket, &message, 0) == (ssize_t)(parts[0].iov_len + 1);
}
