# The app on its own: not root, nothing to write but /tmp. See "Run it on a server" in README.md.
FROM python:3.12-slim

# PyTorch from the usual index brings the parts for NVIDIA cards, 5 GB that a CPU does not need; with
# --build-arg PIP_ARGUMENTS="--extra-index-url ADDRESS" pip also looks where PyTorch keeps its CPU builds.
ARG PIP_ARGUMENTS=""

WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check ${PIP_ARGUMENTS} --requirement requirements.txt
COPY app.py ./
COPY jpegdl ./jpegdl
COPY assets ./assets
COPY checkpoints ./checkpoints
COPY docs/results ./docs/results
RUN python -m compileall -q app.py jpegdl && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin explorer

USER 10001
ENV GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    GRADIO_TEMP_DIR=/tmp \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['GRADIO_SERVER_PORT'] + '/healthz', timeout=4)"]
CMD ["python", "app.py"]
