# One image for every role: `nestling run` decides. Builds with `docker build .`, whichever builder is at work.
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv --without-pip /opt/nestling
# Dependencies change less often than the program: they are a layer of their own, pinned by hash.
COPY requirements/run.txt /src/requirements/run.txt
RUN python3 -m pip --python /opt/nestling/bin/python install -q --require-hashes --no-compile -r /src/requirements/run.txt
COPY . /src
# The version comes from the tag; the repository itself is not in the build.
ARG VERSION=0.1.0.dev0
RUN SETUPTOOLS_SCM_PRETEND_VERSION_FOR_NESTLING=${VERSION} \
    python3 -m pip --python /opt/nestling/bin/python install -q --no-deps --no-build-isolation --no-compile /src
# What only building needs, the asynchronous twin of the API client that nobody imports, and other people's tests.
# Then byte code, because the root file system is read-only at run time.
RUN python3 -m pip --python /opt/nestling/bin/python uninstall -q -y hatchling hatch-vcs editables setuptools-scm setuptools \
        vcs-versioning pathspec pluggy trove-classifiers 2>/dev/null || true; \
    cd /opt/nestling/lib/python3*/site-packages \
    && rm -rf kubernetes/aio kubernetes/e2e_test \
    && find . -type d \( -name tests -o -name test -o -name testing \) -path './numpy/*' -prune -exec rm -rf {} + \
    && /opt/nestling/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash . \
    && /opt/nestling/bin/nestling --version

FROM ${BASE}
ARG VERSION=0.1.0.dev0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="nestling" \
      org.opencontainers.image.description="Kubernetes clusters that live in namespaces of another one" \
      org.opencontainers.image.source="https://github.com/nestling-dev/nestling" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/nestling /opt/nestling
# A number and not a name, so that the kubelet can tell that it is not root; no entry in /etc/passwd is needed.
USER 65532:65532
ENV PATH=/opt/nestling/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["nestling"]
CMD ["run"]
