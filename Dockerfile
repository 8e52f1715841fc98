# The images of operator, training and serving, for people with Docker. `slipway images build` makes the same without, smaller,
# and reproducibly; operator/slipway/images/project.py and tests/unit/images/test_dockerfile.py keep the two alike.
#
#   docker build --target serving --tag slipway-serving .
#
# `make docker-images` builds all three, with the labels that AppBuild needs of a base image. For training on feature views:
# --target training --build-arg TRAINING_EXTRAS="--extra features".
ARG PYTHON=3.12

FROM docker.io/library/python:${PYTHON}-slim AS tools
ENV UV_NO_CACHE=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN python -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./

# ---- packages, from the lock, hashes checked; a change of the code leaves these layers alone ----

FROM tools AS operator-packages
RUN /opt/uv/bin/uv export --quiet --frozen --no-emit-project --no-dev --extra operator --extra web --output-file lock.txt \
 && /opt/uv/bin/uv pip install --target /packages --no-deps --require-hashes --only-binary :all: --requirement lock.txt

FROM tools AS training-packages
ARG TRAINING_EXTRAS=""
RUN /opt/uv/bin/uv export --quiet --frozen --no-emit-project --no-dev --extra training --extra images ${TRAINING_EXTRAS} --output-file lock.txt \
 && /opt/uv/bin/uv pip install --target /packages --no-deps --require-hashes --only-binary :all: --requirement lock.txt

FROM tools AS serving-packages
RUN /opt/uv/bin/uv export --quiet --frozen --no-emit-project --no-dev --extra serving --extra monitoring --extra online-redis --output-file lock.txt \
 && /opt/uv/bin/uv pip install --target /packages --no-deps --require-hashes --only-binary :all: --requirement lock.txt

# ---- slipway itself ----

FROM tools AS wheel
COPY operator operator
RUN /opt/uv/bin/uv build --quiet --wheel --out-dir /dist

FROM operator-packages AS operator-complete
COPY --from=wheel /dist /dist
RUN /opt/uv/bin/uv pip install --target /packages --no-deps /dist/*.whl

FROM training-packages AS training-complete
COPY --from=wheel /dist /dist
RUN /opt/uv/bin/uv pip install --target /packages --no-deps /dist/*.whl

FROM serving-packages AS serving-complete
COPY --from=wheel /dist /dist
RUN /opt/uv/bin/uv pip install --target /packages --no-deps /dist/*.whl

# ---- the images ----

FROM docker.io/library/python:${PYTHON}-slim AS base
RUN groupadd --gid 10001 app && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /sbin/nologin app
ENV LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    ORT_DISABLE_TELEMETRY=1
LABEL org.opencontainers.image.licenses=Apache-2.0
USER 10001:10001
WORKDIR /

FROM base AS operator
ARG PYTHON
COPY --from=operator-complete /packages /usr/local/lib/python${PYTHON}/site-packages/
ARG PACKAGES="" GLIBC=""
LABEL org.opencontainers.image.title=slipway-operator dev.slipway.packages="${PACKAGES}" dev.slipway.glibc="${GLIBC}"
EXPOSE 8080/tcp
ENTRYPOINT ["python", "-m", "slipway"]

FROM base AS training
ARG PYTHON
COPY --from=training-complete /packages /usr/local/lib/python${PYTHON}/site-packages/
ARG PACKAGES="" GLIBC=""
LABEL org.opencontainers.image.title=slipway-training dev.slipway.packages="${PACKAGES}" dev.slipway.glibc="${GLIBC}"
ENTRYPOINT ["python", "-m", "slipway.training"]

FROM base AS serving
ARG PYTHON
COPY --from=serving-complete /packages /usr/local/lib/python${PYTHON}/site-packages/
ARG PACKAGES="" GLIBC=""
LABEL org.opencontainers.image.title=slipway-serving dev.slipway.packages="${PACKAGES}" dev.slipway.glibc="${GLIBC}"
EXPOSE 8080/tcp
ENTRYPOINT ["python", "-m", "slipway.serving"]
