// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: The goldenimage.azure authors
//
// sink [MICROSECONDS [BYTES_PER_SECOND]]: a page blob service that throws the content away.
//
// It shows what a client can do when the service costs next to nothing: bodies are discarded in the kernel.
// With arguments, every answer comes that much later, and all connections together receive that much.
// The port is printed on the first line. It ends when standard input does. GET /-/counts tells what came,
// DELETE /-/counts forgets that and all blobs.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 32768, DISCARD = 1 << 20, PACED_DISCARD = 1 << 16, META_MAX = 4096 };

struct range { uint64_t first, last; };

struct blob {
    char path[1024];
    uint64_t size;
    struct range *ranges;
    size_t count, room;
    char metadata[META_MAX];
    int leased;
    struct blob *next;
};

struct request {
    char method[16], path[4096], metadata[META_MAX];
    char *query;
    uint64_t length, blob_size, first, last;
    int clear, create, only_new, expects, md5;
};

static struct blob *blobs;
static pthread_mutex_t blobs_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t link_lock = PTHREAD_MUTEX_INITIALIZER;
static double link_rate, link_free;
static long latency;
static atomic_ullong requests, puts_, put_bytes, cleared, with_md5, connections;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// The link carries one byte after the other, whichever connection it belongs to.
static void carry(size_t bytes)
{
    if (link_rate <= 0)
        return;
    pthread_mutex_lock(&link_lock);
    double time = now();
    // A few milliseconds of credit, or the sleeps' inaccuracy would make the link slower than it is said to be.
    if (link_free < time - 0.005)
        link_free = time - 0.005;
    link_free += (double)bytes / link_rate;
    double wait = link_free - time;
    pthread_mutex_unlock(&link_lock);
    if (wait > 0)
        usleep((useconds_t)(wait * 1e6));
}

static struct blob *find(const char *path)
{
    struct blob *blob = blobs;
    while (blob && strcmp(blob->path, path))
        blob = blob->next;
    return blob;
}

static struct blob *find_or_make(const char *path)
{
    struct blob *blob = find(path);
    if (!blob) {
        blob = calloc(1, sizeof *blob);
        snprintf(blob->path, sizeof blob->path, "%s", path);
        blob->next = blobs;
        blobs = blob;
    }
    return blob;
}

static void remember(struct blob *blob, uint64_t first, uint64_t last)
{
    if (blob->count == blob->room) {
        blob->room = blob->room ? 2 * blob->room : 64;
        blob->ranges = realloc(blob->ranges, blob->room * sizeof *blob->ranges);
    }
    blob->ranges[blob->count++] = (struct range){first, last};
}

static int by_first(const void *left, const void *right)
{
    uint64_t a = ((const struct range *)left)->first, b = ((const struct range *)right)->first;
    return (a > b) - (a < b);
}

// Neighbouring puts become one range, as in the real service.
static char *page_list(struct blob *blob)
{
    char *text = malloc(128 + (blob ? blob->count : 0) * 96), *end = text;
    end += sprintf(end, "<?xml version=\"1.0\" encoding=\"utf-8\"?><PageList>");
    if (blob)
        qsort(blob->ranges, blob->count, sizeof *blob->ranges, by_first);
    for (size_t i = 0; blob && i < blob->count;) {
        struct range whole = blob->ranges[i++];
        for (; i < blob->count && blob->ranges[i].first <= whole.last + 1; i++)
            if (blob->ranges[i].last > whole.last)
                whole.last = blob->ranges[i].last;
        end += sprintf(end, "<PageRange><Start>%" PRIu64 "</Start><End>%" PRIu64 "</End></PageRange>", whole.first,
                       whole.last);
    }
    sprintf(end, "</PageList>");
    return text;
}

static const char *value(const char *line, const char *name)
{
    size_t length = strlen(name);
    if (strncasecmp(line, name, length) || line[length] != ':')
        return NULL;
    line += length + 1;
    return line + strspn(line, " ");
}

static void read_header(struct request *request, const char *line)
{
    const char *is;
    size_t used = strlen(request->metadata);
    if ((is = value(line, "content-length")))
        request->length = strtoull(is, NULL, 10);
    else if ((is = value(line, "x-ms-blob-content-length")))
        request->blob_size = strtoull(is, NULL, 10);
    else if ((is = value(line, "x-ms-range")) || (is = value(line, "range")))
        sscanf(is, "bytes=%" SCNu64 "-%" SCNu64, &request->first, &request->last);
    else if ((is = value(line, "x-ms-page-write")))
        request->clear = !strncasecmp(is, "clear", 5);
    else if (value(line, "x-ms-blob-type"))
        request->create = 1;
    else if (value(line, "if-none-match"))
        request->only_new = 1;
    else if (value(line, "expect"))
        request->expects = 1;
    else if (value(line, "content-md5"))
        request->md5 = 1;
    else if (!strncasecmp(line, "x-ms-meta-", 10) && used + strlen(line) + 3 < META_MAX)
        sprintf(request->metadata + used, "%s\r\n", line);
}

static void read_head(struct request *request, char *head)
{
    memset(request, 0, sizeof *request);
    char *place, *line = strtok_r(head, "\r\n", &place);
    sscanf(line ? line : "", "%15s %4095s", request->method, request->path);
    while ((line = strtok_r(NULL, "\r\n", &place)))
        read_header(request, line);
    request->query = strchr(request->path, '?');
    if (request->query)
        *request->query++ = 0;
    else
        request->query = request->path + strlen(request->path);
}

static const char *put(struct request *request)
{
    struct blob *blob;
    if (strstr(request->query, "comp=page")) {
        if (request->clear) {
            cleared++;
            return "201 Created";
        }
        remember(find_or_make(request->path), request->first, request->last);
        puts_++;
        put_bytes += request->length;
        with_md5 += (unsigned)request->md5;
        return "201 Created";
    }
    if (strstr(request->query, "restype=container"))
        return "201 Created";
    if (strstr(request->query, "comp=lease")) {
        if (!(blob = find(request->path)))
            return "404 Not Found";
        blob->leased = !blob->leased;
        return blob->leased ? "201 Created" : "200 OK";
    }
    if (strstr(request->query, "comp=")) {
        if ((blob = find(request->path)) && strstr(request->query, "comp=metadata"))
            memcpy(blob->metadata, request->metadata, META_MAX);
        return blob ? "200 OK" : "404 Not Found";
    }
    if (request->only_new && find(request->path))
        return "409 Conflict";
    blob = find_or_make(request->path);
    blob->size = request->blob_size;
    blob->count = 0;
    memcpy(blob->metadata, request->metadata, META_MAX);
    return "201 Created";
}

static void forget_all(void)
{
    requests = puts_ = put_bytes = cleared = with_md5 = connections = 0;
    while (blobs) {
        struct blob *next = blobs->next;
        free(blobs->ranges);
        free(blobs);
        blobs = next;
    }
}

// The status line's end; a body into *body, properties of a blob into headers.
static const char *answer(struct request *request, char **body, char *headers, uint64_t *length)
{
    struct blob *blob = find(request->path);
    if (!strcmp(request->path, "/-/counts")) {
        if (!strcmp(request->method, "DELETE"))
            forget_all();
        if (asprintf(body,
                     "{\"requests\": %llu, \"puts\": %llu, \"put_bytes\": %llu, \"cleared\": %llu, "
                     "\"with_md5\": %llu, \"connections\": %llu}",
                     requests, puts_, put_bytes, cleared, with_md5, connections) < 0)
            *body = NULL;
        return "200 OK";
    }
    requests++;
    if (!strcmp(request->method, "PUT"))
        return put(request);
    if (strstr(request->query, "restype=container"))
        return "200 OK";
    if (!blob) {
        sprintf(headers, "x-ms-error-code: BlobNotFound\r\n");
        return "404 Not Found";
    }
    if (!strcmp(request->method, "DELETE")) {
        blob->path[0] = 0;
        return "202 Accepted";
    }
    if (strstr(request->query, "comp=pagelist")) {
        *body = page_list(blob);
        sprintf(headers, "Content-Type: application/xml\r\nx-ms-blob-content-length: %" PRIu64 "\r\n", blob->size);
        return "200 OK";
    }
    *length = blob->size;
    sprintf(headers, "x-ms-blob-type: PageBlob\r\nx-ms-lease-status: %s\r\nx-ms-lease-state: %s\r\n"
            "x-ms-creation-time: Fri, 02 Jan 2026 03:04:05 GMT\r\nx-ms-blob-sequence-number: 0\r\n"
            "Content-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\n%s",
            blob->leased ? "locked" : "unlocked", blob->leased ? "leased" : "available", blob->metadata);
    return strcmp(request->method, "HEAD") ? "416 Range Not Satisfiable" : "200 OK";
}

static int respond(int client, struct request *request)
{
    char *body = NULL, head[META_MAX + 2048], headers[META_MAX + 1024] = "";
    uint64_t length = 0;
    pthread_mutex_lock(&blobs_lock);
    const char *status = answer(request, &body, headers, &length);
    pthread_mutex_unlock(&blobs_lock);
    if (*status == '4' && strcmp(request->method, "HEAD"))
        length = 0;
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 %s\r\nServer: sink\r\nx-ms-request-id: 1\r\nx-ms-version: 2021-12-02\r\n"
                        "Date: Fri, 02 Jan 2026 03:04:05 GMT\r\nLast-Modified: Fri, 02 Jan 2026 03:04:05 GMT\r\n"
                        "ETag: \"0x1\"\r\nx-ms-request-server-encrypted: true\r\n%s%sContent-Length: %" PRIu64 "\r\n\r\n",
                        status, *status == '4' && !*headers ? "x-ms-error-code: BlobAlreadyExists\r\n" : "", headers,
                        body ? (uint64_t)strlen(body) : length);
    if (latency)
        usleep((useconds_t)latency);
    int bad = send(client, head, (size_t)size, MSG_NOSIGNAL) != size;
    for (size_t sent = 0; body && !bad && sent < strlen(body);) {
        ssize_t more = send(client, body + sent, strlen(body) - sent, MSG_NOSIGNAL);
        bad = more <= 0;
        sent += bad ? 0 : (size_t)more;
    }
    free(body);
    return !bad;
}

static void *serve(void *argument)
{
    int client = (int)(intptr_t)argument, one = 1;
    char *head = malloc(HEAD_MAX + 1), *rest = malloc(DISCARD), *end;
    struct request request;
    size_t have = 0, chunk = link_rate > 0 ? PACED_DISCARD : DISCARD;
    ssize_t got;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connections++;
    for (;;) {
        while (!(end = memmem(head, have, "\r\n\r\n", 4))) {
            if (have == HEAD_MAX || (got = recv(client, head + have, HEAD_MAX - have, 0)) <= 0)
                goto done;
            have += (size_t)got;
        }
        size_t size = (size_t)(end - head) + 4, early = have - size;
        *end = 0;
        read_head(&request, head);
        if (request.expects && send(client, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL) != 25)
            goto done;
        if (early > request.length)
            early = request.length;
        memmove(head, head + size + early, have - size - early);
        have -= size + early;
        carry(size + early);
        for (uint64_t left = request.length - early; left; left -= (uint64_t)got) {
            if ((got = recv(client, rest, left < chunk ? left : chunk, MSG_TRUNC)) <= 0)
                goto done;
            carry((size_t)got);
        }
        if (!respond(client, &request))
            goto done;
    }
done:
    close(client);
    free(head);
    free(rest);
    return NULL;
}

static void *watch_stdin(void *unused)
{
    char byte;
    while (read(0, &byte, 1) > 0)
        ;
    exit(0);
    return unused;
}

int main(int count, char **words)
{
    latency = count > 1 ? atol(words[1]) : 0;
    link_rate = count > 2 ? atof(words[2]) : 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int server = socket(AF_INET, SOCK_STREAM, 0);
    // What lies in a paced link's buffers has not been carried yet: they are small.
    int buffer = link_rate > 0 ? 256 << 10 : 4 << 20;
    pthread_t thread;
    setsockopt(server, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 512) ||
        getsockname(server, (struct sockaddr *)&address, &size)) {
        perror("sink");
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    pthread_create(&thread, NULL, watch_stdin, NULL);
    for (;;) {
        int client = accept(server, NULL, NULL);
        if (client >= 0 && !pthread_create(&thread, NULL, serve, (void *)(intptr_t)client))
            pthread_detach(thread);
    }
}
