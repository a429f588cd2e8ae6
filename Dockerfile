# The node on CPU. For a GPU install the extra `gpu` instead and start with the NVIDIA runtime.
# A tag moves; give the digest of what you have looked at: --build-arg BASE=python:3.11-slim@sha256:...
ARG BASE=python:3.11-slim
FROM ${BASE}

RUN useradd --create-home --uid 10001 pctnode && mkdir /data && chown pctnode /data
WORKDIR /app
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY node node
COPY onnx onnx
RUN pip install --no-cache-dir --no-deps -e .

USER pctnode
ENV PCTNODE_NODE__DATA_DIR=/data \
    PCTNODE_INFERENCE__MODELS_DIR=/app/onnx
VOLUME /data
EXPOSE 11112 8080
ENTRYPOINT ["pctnode"]
CMD ["serve", "--config", "/etc/pctnode/node.toml"]
